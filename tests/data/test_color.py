"""Colour operations against torchvision's, with a factor for each image."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
import torchvision.transforms.v2.functional as reference
from torch import Tensor

from eqco.data import color

Change = Callable[[Tensor, Tensor], Tensor]
FACTORS = (0.0, 0.25, 0.6, 0.93, 1.0, 1.07, 1.4, 2.0, 5.0)
TURNS = (-0.5, -0.35, -0.1, -1 / 12, -0.02, 0.0, 0.02, 1 / 12, 0.1, 1 / 3, 0.5)
OPERATIONS = {
    "brightness": (color.adjust_brightness, reference.adjust_brightness, FACTORS),
    "contrast": (color.adjust_contrast, reference.adjust_contrast, FACTORS),
    "saturation": (color.adjust_saturation, reference.adjust_saturation, FACTORS),
    "hue": (color.adjust_hue, reference.adjust_hue, TURNS),
}


def pictures() -> dict[str, Tensor]:
    """Images (N, 3, S, S): any colours, gray, black, white, and corners and edges of the cube."""
    draw = torch.Generator().manual_seed(5)
    noise = torch.rand(4, 3, 16, 16, generator=draw)
    few = torch.randint(0, 3, (4, 3, 16, 16), generator=draw) / 2  # channels are often equal
    nearly = noise[:, :1] + 1e-3 * (torch.rand(4, 3, 16, 16, generator=draw) - 0.5)
    return {
        "noise": noise,
        "gray": noise[:, :1].expand(4, 3, 16, 16).clone(),
        "nearly-gray": nearly.clamp(0, 1),
        "black": torch.zeros(2, 3, 16, 16),
        "white": torch.ones(2, 3, 16, 16),
        "corners": (noise > 0.5).float(),
        "edges": few,
        "photo": torch.nn.functional.interpolate(noise[:, :, :5, :5], size=16, mode="bilinear"),
    }


@pytest.mark.parametrize("name", OPERATIONS)
@pytest.mark.parametrize("picture", pictures())
def test_an_operation_is_torchvisions(name: str, picture: str) -> None:
    change, theirs, factors = OPERATIONS[name]
    images = pictures()[picture]
    before = images.clone()
    for factor in factors:
        ours = change(images, torch.full((len(images),), factor))
        torch.testing.assert_close(ours, theirs(images, factor), atol=5e-6, rtol=0)
        assert ours.min() >= -5e-6
        assert ours.max() <= 1
    assert torch.equal(images, before)


@pytest.mark.parametrize("picture", pictures())
def test_grayscale_is_torchvisions(picture: str) -> None:
    images = pictures()[picture]
    before = images.clone()
    ours = color.grayscale(images)
    assert ours.shape == (len(images), 1, 16, 16)
    torch.testing.assert_close(ours, reference.rgb_to_grayscale(images), atol=5e-6, rtol=0)
    assert torch.equal(images, before)


def test_the_jitter_is_that_of_moco_v2() -> None:
    """Strengths .4, .4, .4 and .1, of four fifths of the images; a fifth becomes gray."""
    changes = tuple(change for change, _, _ in OPERATIONS.values())
    assert changes == color.JITTER
    assert color.STRENGTHS == ((0.6, 1.4), (0.6, 1.4), (0.6, 1.4), (-0.1, 0.1))
    assert (color.JITTER_SHARE, color.GRAY_SHARE) == (0.8, 0.2)
