"""Glyphs: as many as were counted, the same everywhere, held-out styles kept apart."""

from __future__ import annotations

from importlib.metadata import version

import pytest
import torch

from eqco.data import glyphs
from eqco.data.in_memory import glyph_set

# The pixels, and so the counts, are those of these libraries; others may draw a glyph differently.
SAME_LIBRARIES = pytest.mark.skipif(
    not (version("pillow").startswith("13.0") and version("matplotlib").startswith("3.11")),
    reason="counts and pixels were taken with Pillow 13.0 and matplotlib 3.11",
)


@SAME_LIBRARIES
def test_the_pixels_are_those_of_the_committed_evidence() -> None:
    assert glyphs.fingerprint() == glyphs.FINGERPRINT


def test_glyphs_are_pictures_of_uint8_with_ink() -> None:
    points, train, test = glyphs.render()
    assert len(points) == len(train) == len(test) > 2000
    for images in (train, test):
        assert images.dtype == torch.uint8
        assert images.flatten(2).any(dim=2).all()


def test_held_out_styles_are_none_of_the_training_styles() -> None:
    styles = glyphs.TRAIN_STYLES + glyphs.TEST_STYLES
    assert (len(glyphs.TRAIN_STYLES), len(glyphs.TEST_STYLES)) == (9, 3)
    assert len(set(styles)) == 12
    assert all((glyphs.font_folder() / f"{style}.ttf").is_file() for style in styles)


def test_images_stand_in_the_order_of_their_styles() -> None:
    """The last training style and the first held-out one are where their names say."""
    points, train, test = glyphs.render()
    some = points[:40]
    for images, styles in ((train, glyphs.TRAIN_STYLES), (test, glyphs.TEST_STYLES)):
        for place in (0, -1):
            drawn = torch.from_numpy(glyphs.draw(styles[place], some))
            assert torch.equal(images[:40, place], drawn)


def copies(train: torch.Tensor, held_out: torch.Tensor) -> int:
    """How many held-out pictures equal a training picture, pixel by pixel."""
    seen = {picture.numpy().tobytes() for picture in train}
    return sum(picture.numpy().tobytes() in seen for picture in held_out)


@pytest.mark.parametrize("part", [1.0, 0.1])
def test_no_held_out_picture_is_also_a_training_picture(part: float) -> None:
    data = glyph_set(part)
    assert len(data.test_images) == len(data.test_labels) > 0
    assert copies(data.train_images, data.test_images) == 0


def test_only_copies_are_left_out_and_labels_stay_with_their_pictures() -> None:
    _, train, drawn = glyphs.render()
    data = glyph_set(1.0)
    skipped = copies(train.flatten(0, 1), drawn.flatten(0, 1))
    assert len(data.test_images) == drawn.shape[0] * drawn.shape[1] - skipped
    for picture, label in list(zip(data.test_images, data.test_labels, strict=True))[::97]:
        assert any(torch.equal(picture[0], other) for other in drawn[label])


@SAME_LIBRARIES
def test_as_many_held_out_pictures_are_left_as_the_documents_say() -> None:
    assert (int(glyphs.unseen().sum()), glyphs.unseen().numel()) == (4669, 6321)


def test_no_two_glyphs_of_a_style_look_the_same() -> None:
    _, train, test = glyphs.render()
    for style in torch.cat([train, test], dim=1).unbind(dim=1):
        assert len({image.numpy().tobytes() for image in style}) == len(style)


def test_of_two_glyphs_that_look_alike_the_first_is_kept() -> None:
    """Greek capital alpha is drawn like Latin A."""
    points, _, _ = glyphs.render()
    assert ord("A") in points
    assert ord("\N{GREEK CAPITAL LETTER ALPHA}") in glyphs.candidates()
    assert ord("\N{GREEK CAPITAL LETTER ALPHA}") not in points
