"""Drawing of 16 columns of so many for each of 256 queries, independent per query or shared."""

from __future__ import annotations

from functools import partial

import pytest
import torch

from benchmark.measure import Compare, Timed
from eqco.losses.sampling import DRAWINGS

pytestmark = pytest.mark.benchmark(group="drawing")


def plain(count: int, available: int, few: int, draw: torch.Generator) -> torch.Tensor:
    """A random number for every key, and the K largest."""
    return torch.rand(count, available, generator=draw).topk(few, dim=1).indices


@pytest.mark.parametrize("available", [255, 4095, 65536])
@pytest.mark.parametrize("drawing", DRAWINGS)
def test_drawing(compare: Compare, drawing: str, available: int) -> None:
    count, size = compare.size(256, 8), compare.size(available, 64)
    draw = torch.Generator().manual_seed(0)
    compare(
        f"{available:,}, {drawing}",
        ours=Timed(partial(DRAWINGS[drawing], count, size, 16, draw)),
        plain=Timed(partial(plain, count, size, 16, draw), rounds=9),
        limit=Timed(lambda: torch.randint(size, (count, 16), generator=draw)),
        rounds=40,
    )
