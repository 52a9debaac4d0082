"""The doctor's sizes are those of the tables' scales, and a rate makes a price."""

from __future__ import annotations

import pytest

from eqco.images import memory
from eqco.images.glyphs import SIDE
from eqco.images.tree import IMAGENET
from eqco.settings import Machine
from eqco.speed import SIZES, Size, images_per_second, minutes
from reproductions.scales import SCALES


@pytest.mark.parametrize("name", SIZES)
def test_a_size_is_that_of_its_scale(name: str) -> None:
    own, scale = SIZES[name].recipe, SCALES[name].base
    for field in ("backbone", "batch_size", "epochs", "image_size", "embedding_dim", "projector"):
        assert getattr(own, field) == getattr(scale, field), field


def test_images_are_those_of_the_data() -> None:
    assert SIZES["glyphs"].images == len(memory.glyph_set(1.0).train_images)
    assert SIZES["glyphs"].side == SIDE
    assert SIZES["imagenet"].images == IMAGENET[1]


def test_minutes_follow_the_rate() -> None:
    size = SIZES["cifar10"]
    assert minutes(size, 1000.0) == pytest.approx(50_000 * 200 / 1000 / 60)
    assert minutes(size, 500.0) == pytest.approx(2 * minutes(size, 1000.0))


def test_a_rate_is_measured_in_one_step_at_least() -> None:
    size = Size({"backbone": "tiny-gray"}, 24, 1, 1000, 8)
    assert images_per_second(size, Machine(threads=1), 0.0) > 0
