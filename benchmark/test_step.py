"""Training steps beside the bare loop: the same encoder on ready views, plain loss and SGD."""

from __future__ import annotations

import pytest

from benchmark.measure import Compare, Timed
from benchmark.training import Bare, step_recipe, training
from eqco.methods import METHODS

pytestmark = pytest.mark.benchmark(group="step")


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("scale", ["glyphs", "cifar10-quick"])
def test_step(compare: Compare, scale: str, method: str) -> None:
    batch = compare.size(256, 32)
    recipe = step_recipe(scale, method, batch=batch)
    ours = training(recipe, scale)
    bare = Bare(recipe, ours.images.views(0))
    compare(
        f"{scale}, {method}",
        ours=Timed(ours.advance, images=batch),
        limit=Timed(bare.step, images=batch),
        unit="images/s",
        rounds=21,
    )


@pytest.mark.parametrize("negatives", [16, 64, None], ids=["16", "64", "all"])
def test_a_step_with_more_negatives(compare: Compare, negatives: int | None) -> None:
    """The limit is the step with K = 4, so that equal times give 1."""
    batch = compare.size(256, 128)
    ours = training(step_recipe("glyphs", "simo", negatives, batch), "glyphs")
    fewest = training(step_recipe("glyphs", "simo", 4, batch), "glyphs")
    compare(
        f"step, K = {negatives or 'all'}",
        ours=Timed(ours.advance),
        limit=Timed(fewest.advance),
        rounds=31,
    )
