"""Intervals over seeds and images."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from eqco.evaluation.metrics import packed, percent
from reproductions.statistics.bootstrap import interval_over_both, right_images


def record_of(right: np.ndarray, accuracy: float | None = None) -> Any:
    """What a record says of the images that its run got right."""
    text, measured = packed(torch.from_numpy(right)), percent(torch.from_numpy(right))
    metrics = {"linear": measured if accuracy is None else accuracy}
    return SimpleNamespace(run_id="r", correct={"linear": text}, metrics=metrics)


@pytest.mark.parametrize("count", [1, 7, 8, 4669, 10_000])
def test_the_images_of_a_record_are_found_without_their_number(count: int) -> None:
    right = np.random.default_rng(count).random(count) < 0.6
    right[0] = True
    found = right_images(record_of(right), "linear")
    np.testing.assert_array_equal(found, right)
    assert right_images(record_of(right), "knn") is None
    with pytest.raises(ValueError, match="of r do not give its accuracy"):
        right_images(record_of(right, 12.34567), "linear")


def test_the_interval_covers_the_mean_of_other_seeds_and_images() -> None:
    """Rows whose accuracy depends on seed and image; the truth is 3 points, in 95 of 100 trials."""
    generator, seeds, images, inside = np.random.default_rng(0), 8, 400, 0
    for _ in range(60):
        hard, luck = generator.normal(size=images), 0.02 * generator.normal(size=(2, seeds, 1))
        chance = 1 / (1 + np.exp(-hard)) * 0.9 + 0.05
        made = [
            generator.random((seeds, images)) < chance + gain + luck[place]
            for place, gain in enumerate((0.0, 0.03))
        ]
        rows = [dict(enumerate(right)) for right in made]
        found = interval_over_both(rows, [-1.0, 1.0], range(seeds))
        inside += found[0] < 3.0 < found[1]
    assert inside >= 52  # of 60; fewer have a chance of one in a thousand at 95 %


def test_images_alone_and_seeds_alone_have_the_width_of_their_mean() -> None:
    """Equal seeds leave the spread over images, equal images that over seeds: 1.96 sd / root n."""
    generator = np.random.default_rng(0)
    none, images = np.zeros(900, dtype=bool), generator.random(900) < 0.3
    by_seed = generator.random(40) < 0.3
    for first, values in (
        ({seed: images for seed in range(40)}, images),
        ({seed: none | right for seed, right in enumerate(by_seed)}, by_seed),
    ):
        found = interval_over_both([first, dict.fromkeys(range(40), none)], [1.0, -1.0], range(40))
        width = 2 * 1.96 * 100 * values.std() / len(values) ** 0.5
        assert found[1] - found[0] == pytest.approx(width, rel=0.1)


def test_a_row_without_a_planned_seed_gives_no_interval() -> None:
    right = np.array([True, False])
    assert interval_over_both([{0: right}, {0: right, 1: right}], [1.0, -1.0], [0, 1]) is None
