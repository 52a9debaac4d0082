"""Losses in the batch: drawing of K, similarities, loss and backward pass."""

from __future__ import annotations

import math
from functools import partial
from statistics import linear_regression, median

import pytest
import torch

from benchmark import peers
from benchmark.inputs import LossCase
from benchmark.measure import Compare, Measurement, Timed
from eqco.losses.registry import LOSSES

pytestmark = pytest.mark.benchmark(group="losses")
SIZES = {256: 60, 1024: 30, 4096: 7}  # N, and in how many rounds
NEGATIVES = {"K = 16": 16, "all": 0}


@pytest.mark.parametrize("few", NEGATIVES)
@pytest.mark.parametrize("count", SIZES)
def test_in_batch(compare: Compare, count: int, few: str) -> None:
    case = LossCase(compare.size(count, 32), NEGATIVES[few])
    drawn = few != "all"
    compare(
        f"N = {count}, {few}",
        ours=Timed(case.ours),
        plain=Timed(case.plain),
        limit=Timed(case.limit) if drawn else None,
        lightly=peers.lightly_nt_xent(case, 2 if count > 1000 else 20) if drawn else None,
        metric_learning=peers.metric_learning_nt_xent(case) if drawn and count == 256 else None,
        rounds=SIZES[count],
    )
    assert case.query.grad is not None
    assert torch.isfinite(case.query.grad).all()


@pytest.mark.parametrize("loss", [name for name in LOSSES if name != "infonce"])
def test_every_loss(compare: Compare, loss: str) -> None:
    case = LossCase(compare.size(1024, 32), 16)
    compare(
        f"{LOSSES[loss].title}, N = 1024",
        ours=Timed(partial(case.ours, loss)),
        plain=Timed(case.plain),
        rounds=20,
    )


@pytest.mark.parametrize("few", NEGATIVES)
def test_how_the_time_grows(compare: Compare, few: str) -> None:
    """Each round runs every N, so that a change of the machine's speed does not bend the fit."""
    sizes = [size // compare.size(1, 8) for size in (4096, 2048, 1024, 512, 256)]
    parts = {str(size): Timed(LossCase(size, NEGATIVES[few]).ours) for size in sizes}
    seconds = [median(taken) for taken in compare.in_turn(parts, rounds=9).values()]
    if not seconds:
        return
    logs = [[math.log(max(value, 1e-9)) for value in column] for column in (sizes, seconds)]
    slope = linear_regression(*logs).slope
    compare.benchmark.extra_info["seconds"] = dict(zip(parts, seconds, strict=True))
    compare.keep(Measurement("losses", f"exponent in N, {few}", "", {"ours": slope}))
