"""MoCo v2's view against torchvision's operations, and as often as it should happen."""

from __future__ import annotations

import pytest
import torch
import torchvision.transforms.v2.functional as reference
from torch import Tensor

from eqco.data import augmentations
from eqco.data.augmentations import (
    STRENGTHS,
    moco_view,
    random_blur,
    random_flip,
    random_grayscale,
    random_jitter,
)
from eqco.runtime.rng import RankSlice


@pytest.fixture
def images(generator: torch.Generator) -> Tensor:
    """Six smooth colour pictures in [0, 1]."""
    coarse = torch.rand(6, 3, 5, 5, generator=generator)
    return torch.nn.functional.interpolate(coarse, size=(32, 32), mode="bilinear")


def test_the_jitter_is_torchvisions_in_the_order_drawn(
    images: Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Saturation, hue, brightness, contrast for all but the last image, which is not chosen."""
    factors = [torch.linspace(low, high, 6) for low, high in STRENGTHS]
    keys = [torch.full((6,), each) for each in (0.3, 0.4, 0.1, 0.2)]
    chosen = torch.tensor([0.0] * 5 + [0.9])
    values = iter([chosen, *factors, *keys])
    monkeypatch.setattr(augmentations, "uniform", lambda *_: next(values))
    ours = random_jitter(images, torch.Generator())
    theirs = (
        (reference.adjust_saturation, 2), (reference.adjust_hue, 3),
        (reference.adjust_brightness, 0), (reference.adjust_contrast, 1),
    )  # fmt: skip
    for row in range(5):
        expected = images[row]
        for change, place in theirs:
            expected = change(expected, factors[place][row].item())
        torch.testing.assert_close(ours[row], expected, atol=1e-5, rtol=0)
    assert torch.equal(ours[5], images[5])


def test_images_jittered_together_are_those_jittered_one_at_a_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As on a device: those whose next operation is the same."""
    images = torch.rand(40, 3, 16, 16, generator=torch.Generator().manual_seed(2))
    alone = random_jitter(images, torch.Generator().manual_seed(3))
    monkeypatch.setattr(augmentations, "on_cpu", lambda _: False)
    together = random_jitter(images, torch.Generator().manual_seed(3))
    torch.testing.assert_close(together, alone, atol=1e-6, rtol=0)
    assert 20 < int((alone != images).flatten(1).any(dim=1).sum()) < 40


def test_the_jitter_comes_in_every_order(monkeypatch: pytest.MonkeyPatch) -> None:
    """Marks instead of colours: each part appends its number to what an image has been through."""
    parts = tuple((lambda x, _, n=number: x * 10 + n) for number in range(1, 5))
    monkeypatch.setattr(augmentations, "JITTER", parts)
    monkeypatch.setattr(augmentations, "STRENGTHS", ((0.0, 1.0),) * 4)
    seen = random_jitter(torch.zeros(2000, 1, 1, 1), torch.Generator().manual_seed(0)).flatten()
    orders = {int(value) for value in seen.tolist()}
    untouched = int((seen == 0).sum())
    assert 320 < untouched < 480  # a fifth of 2,000, sd 18
    orders.discard(0)
    assert len(orders) == 24
    assert all(sorted(str(order)) == list("1234") for order in orders)


def test_a_fifth_is_gray_half_is_blurred_and_half_is_mirrored() -> None:
    """1,000 draws each: six standard deviations are 76 and 95."""
    draw = torch.Generator().manual_seed(0)
    images = torch.rand(1000, 3, 8, 8, generator=draw)
    for change, expected, within in (
        (random_grayscale, 200, 76), (random_blur, 500, 95), (random_flip, 500, 95),
    ):  # fmt: skip
        changed = (change(images, draw) != images).flatten(1).any(dim=1)
        assert abs(int(changed.sum()) - expected) < within
    gray = random_grayscale(images, draw)
    rows = (gray != images).flatten(1).any(dim=1)
    expected = reference.rgb_to_grayscale(images[rows], num_output_channels=3)
    torch.testing.assert_close(gray[rows], expected, atol=5e-6, rtol=0)


def test_the_blur_is_torchvisions_gaussian_inside_the_image(
    images: Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    values = iter([torch.zeros(6), torch.full((6,), 1.5)])  # all chosen, one width
    monkeypatch.setattr(augmentations, "uniform", lambda *_: next(values))
    ours = random_blur(images, torch.Generator())
    expected = reference.gaussian_blur(images, [17, 17], [1.5, 1.5])
    inner = (..., slice(8, -8), slice(8, -8))  # borders are continued otherwise
    torch.testing.assert_close(ours[inner], expected[inner], atol=1e-5, rtol=0)


def test_two_processes_make_the_views_of_one(images: Tensor) -> None:
    def view(part: Tensor, first: int) -> Tensor:
        return moco_view(part, RankSlice(torch.Generator().manual_seed(3), 6, first))

    before = images.clone()
    halves = torch.cat([view(images[:3], 0), view(images[3:], 3)])
    torch.testing.assert_close(halves, view(images, 0))
    assert torch.equal(images, before)
    assert -1e-6 <= halves.min() < halves.max() <= 1 + 1e-6
