"""Losses in the batch: drawing of K, similarities, loss and backward pass."""

from __future__ import annotations

import math
from functools import partial
from statistics import linear_regression

import pytest
import torch

from benchmark import peers
from benchmark.inputs import TEMPERATURE, embeddings, limit_of_few, ours_in_batch, plain_in_batch
from benchmark.measure import Compare, Measurement, Timed
from eqco.losses.registry import LOSSES

pytestmark = pytest.mark.benchmark(group="losses")
SIZES = {256: 60, 1024: 30, 4096: 7}  # N, and in how many rounds
ALL = 0  # stands for N - 1


@pytest.mark.parametrize("few", [16, ALL], ids=["few", "all"])
@pytest.mark.parametrize("count", SIZES)
def test_in_batch(compare: Compare, count: int, few: int) -> None:
    name = f"N = {count}, {f'K = {few}' if few else 'all'}"
    size = compare.size(count, 32)
    query, key = embeddings(size).requires_grad_(), embeddings(size, 1)
    draw = torch.Generator().manual_seed(0)
    others = {}
    if few:
        slow = 2 if count > 1000 else 20
        others["lightly"] = peers.lightly_nt_xent(query, key, TEMPERATURE, slow)
        if count == 256:
            part = peers.metric_learning_nt_xent(query, key, TEMPERATURE)
            others["metric-learning"] = part
    limit = Timed(partial(limit_of_few, query, key, key, few, draw)) if few else None
    compare(
        name,
        ours=Timed(partial(ours_in_batch, "infonce", query, key, few or size - 1, draw)),
        plain=Timed(partial(plain_in_batch, query, key)),
        limit=limit,
        peers=others,
        rounds=SIZES[count],
        queries=size,
        negatives=few or size - 1,
    )
    assert query.grad is not None
    assert torch.isfinite(query.grad).all()


@pytest.mark.parametrize("loss", [name for name in LOSSES if name != "infonce"])
def test_every_loss(compare: Compare, loss: str) -> None:
    size = compare.size(1024, 32)
    query, key = embeddings(size).requires_grad_(), embeddings(size, 1)
    draw = torch.Generator().manual_seed(0)
    compare(
        f"{LOSSES[loss].title}, N = 1024",
        ours=Timed(partial(ours_in_batch, loss, query, key, 16, draw)),
        plain=Timed(partial(plain_in_batch, query, key)),
        rounds=20,
        queries=size,
        negatives=16,
    )


@pytest.mark.parametrize("few", [16, ALL], ids=["few", "all"])
def test_how_the_time_grows(compare: Compare, few: int) -> None:
    """Each round runs every N, so that a change of the machine's speed does not bend the fit."""
    sizes = [
        compare.size(size, 8 * place + 32) for place, size in enumerate([256, 512, 1024, 2048])
    ]
    sizes.append(compare.size(4096, 64))
    draw = torch.Generator().manual_seed(0)
    parts = {}
    for size in sizes:
        query, key = embeddings(size).requires_grad_(), embeddings(size, 1)
        parts[size] = Timed(partial(ours_in_batch, "infonce", query, key, few or size - 1, draw))
    earlier_rows = len(compare.rows)
    measurement = compare(
        "sizes",
        ours=parts[sizes[-1]],
        peers={str(size): parts[size] for size in sizes[:-1]},
        rounds=9,
        sizes=sizes,
    )
    if measurement is None:
        return
    del compare.rows[earlier_rows:]
    compare.benchmark.extra_info.pop("rows")
    seconds = [*measurement.peers.values(), measurement.values["ours"]]
    name = f"exponent in N, {f'K = {few}' if few else 'all'}"
    logs = [[math.log(max(value, 1e-9)) for value in column] for column in (sizes, seconds)]
    row = Measurement("losses", name, "", {"ours": linear_regression(*logs).slope})
    compare.keep(row, seconds=dict(zip(map(str, sizes), seconds, strict=True)))
