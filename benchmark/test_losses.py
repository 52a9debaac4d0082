"""Speed of the losses: similarities, drawing of K, loss and backward pass. N queries, D = 128.

    pytest benchmark            a minute on 2 cores; compare within one run, times are noisy

`plain` is a matrix product and cross-entropy over all N keys, what users would write themselves.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import pytest
import torch
import torch.nn.functional as F
from pytest_benchmark.fixture import BenchmarkFixture
from torch import Tensor

from eqco.contrast import LOSSES
from eqco.negatives import draw_negatives

TEMPERATURE = 0.2
SIZES = [(256, 16), (256, 255), (1024, 16), (1024, 1023)]  # N, K


def embeddings(count: int) -> tuple[Tensor, Tensor]:
    """Queries, which need a gradient, and keys: unit vectors, shape (N, 128)."""
    draw = torch.Generator().manual_seed(0)
    query, key = (F.normalize(torch.randn(count, 128, generator=draw), dim=1) for _ in range(2))
    return query.requires_grad_(), key


def ours(name: str, query: Tensor, key: Tensor, num_negatives: int) -> Tensor:
    """A loss of the suite with K negatives drawn for each query."""
    loss, draw = LOSSES[name], torch.Generator().manual_seed(0)
    similarity = query @ key.T
    negatives = draw_negatives(similarity, num_negatives, draw)
    setting = {loss.setting: loss.example} if loss.setting else {}
    return loss.function(similarity.diagonal(), negatives, temperature=TEMPERATURE, **setting)


def plain(query: Tensor, key: Tensor) -> Tensor:
    """InfoNCE over all keys of the batch."""
    return F.cross_entropy(query @ key.T / TEMPERATURE, torch.arange(len(query)))


def measure(benchmark: BenchmarkFixture, loss: Callable[[], Tensor], query: Tensor) -> None:
    """Time the forward and backward pass."""

    def step() -> None:
        query.grad = None
        loss().backward()  # type: ignore[no-untyped-call]

    benchmark.extra_info.update(threads=torch.get_num_threads(), torch=torch.__version__)
    benchmark(step)
    assert query.grad is not None
    assert torch.isfinite(query.grad).all()


@pytest.mark.parametrize(("count", "num_negatives"), SIZES)
@pytest.mark.parametrize("name", LOSSES)
def test_a_loss_with_k_negatives(
    benchmark: BenchmarkFixture, name: str, count: int, num_negatives: int
) -> None:
    benchmark.group = f"N = {count}"
    query, key = embeddings(count)
    measure(benchmark, partial(ours, name, query, key, num_negatives), query)


@pytest.mark.parametrize("count", sorted({count for count, _ in SIZES}))
def test_plain_infonce_with_all_keys(benchmark: BenchmarkFixture, count: int) -> None:
    benchmark.group = f"N = {count}"
    query, key = embeddings(count)
    measure(benchmark, partial(plain, query, key), query)
