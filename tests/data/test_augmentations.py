"""Random views: drawn per image, repeatable, the identity where nothing is drawn; MoCo v2."""

from __future__ import annotations

import pytest
import torch
import torchvision.transforms.v2.functional as reference
from torch import Tensor

from eqco.data import augmentations
from eqco.data.augmentations import (
    STRENGTHS,
    VIEWS,
    moco_view,
    random_blur,
    random_crops,
    random_flip,
    random_grayscale,
    random_jitter,
    warp,
)
from eqco.runtime.rng import RankSlice, uniform

CHANNELS = {"glyphs": 1, "photos": 3}
EITHER_VIEW = pytest.mark.parametrize("name", sorted(VIEWS))


def pictures(name: str, count: int = 6, side: int = 24) -> Tensor:
    """Different smooth pictures in [0, 1]."""
    draw = torch.Generator().manual_seed(5)
    coarse = torch.rand(count, CHANNELS[name], 5, 5, generator=draw)
    return torch.nn.functional.interpolate(coarse, size=(side, side), mode="bilinear")


@EITHER_VIEW
def test_a_view_keeps_shape_type_and_range_and_its_images(name: str) -> None:
    images = pictures(name, count=64)
    before = images.clone()
    view, again, other = (
        VIEWS[name](images, 0.3, torch.Generator().manual_seed(seed)) for seed in (1, 1, 2)
    )
    assert torch.equal(view, again)
    assert not torch.equal(view, other)
    assert torch.equal(images, before)
    assert view.shape == images.shape
    assert view.dtype == torch.float32
    assert view.min() >= 0
    assert view.max() <= 1


@EITHER_VIEW
def test_a_view_does_not_depend_on_the_other_images_of_its_batch(name: str) -> None:
    images = pictures(name)
    changed = images.clone()
    changed[1:] = 1 - changed[1:]
    one, other = (
        VIEWS[name](each, 0.3, torch.Generator().manual_seed(1)) for each in (images, changed)
    )
    torch.testing.assert_close(one[0], other[0])
    assert not torch.allclose(one[1:], other[1:])


@EITHER_VIEW
def test_a_view_is_the_image_where_nothing_is_drawn(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each number in the middle of its range: full crop, no turn, no shear, factors of 1.

    Of the photos' numbers in [0, 1) the middle means jitter by nothing and no grayscale; the
    flip is set to +1, its middle being no flip at all.
    """
    drawn = []

    def middle(count: int, low: float, high: float, *_: object) -> Tensor:
        drawn.append((low, high))
        flip = name == "photos" and len(drawn) == 5  # after the four numbers of the crop
        return torch.full((count,), high if flip else (low + high) / 2)

    monkeypatch.setattr(augmentations, "uniform", middle)
    images = pictures(name)
    torch.testing.assert_close(VIEWS[name](images, 1.0, torch.Generator()), images)
    assert len(drawn) >= 6


@pytest.mark.parametrize("outside", ["zeros", "border"])
@pytest.mark.parametrize("shape", [(24, 24), (20, 32)], ids=str)
def test_warping_is_torchs_affine_grid_and_sample(
    outside: str, shape: tuple[int, int], generator: torch.Generator
) -> None:
    """Any matrix, also one that looks beyond the image."""
    images = torch.rand(6, 3, *shape, generator=generator)
    matrix = torch.eye(2, 3) + 0.5 * torch.randn(6, 2, 3, generator=generator)
    grid = torch.nn.functional.affine_grid(matrix, [6, 3, *shape], align_corners=False)
    expected = torch.nn.functional.grid_sample(
        images, grid, padding_mode=outside, align_corners=False
    )
    ours = warp(images, matrix.permute(1, 2, 0), outside)
    torch.testing.assert_close(ours, expected, atol=1e-5, rtol=0)


def recorded(
    images: Tensor, monkeypatch: pytest.MonkeyPatch, **shares: float
) -> tuple[Tensor, list[Tensor]]:
    """A photo view by seed 3 with other shares, and all that was drawn for it, in order."""
    drawn, inner = [], uniform
    monkeypatch.setattr(
        augmentations, "uniform", lambda *given: drawn.append(inner(*given)) or drawn[-1]
    )
    for name, share in shares.items():
        monkeypatch.setattr(augmentations, name, share)
    return VIEWS["photos"](images, 0.3, torch.Generator().manual_seed(3)), drawn


def test_colours_of_the_chosen_photos_alone_are_changed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Brightness, contrast, saturation, hue by torchvision, one image at a time, then gray."""
    images = pictures("photos", count=90)
    plain, _ = recorded(images, monkeypatch, JITTER_SHARE=0.0, GRAY_SHARE=0.0)
    view, drawn = recorded(images, monkeypatch, JITTER_SHARE=0.6, GRAY_SHARE=0.3)
    chosen, *factors, gray = drawn[5:]  # after the four numbers of the crop, and the flip
    changes = (
        reference.adjust_brightness, reference.adjust_contrast,
        reference.adjust_saturation, reference.adjust_hue,
    )  # fmt: skip
    untouched = 0
    for row in range(90):
        expected = plain[row]
        if chosen[row] < 0.6:
            for change, factor in zip(changes, factors, strict=True):
                expected = change(expected, factor[row].item())
        if gray[row] < 0.3:
            expected = reference.rgb_to_grayscale(expected, num_output_channels=3)
        torch.testing.assert_close(view[row], expected, atol=1e-5, rtol=0)
        if chosen[row] >= 0.6 and gray[row] >= 0.3:
            assert torch.equal(view[row], plain[row])
            untouched += 1
    assert 10 < untouched < 45


@pytest.mark.parametrize("share", [0.0, 0.5, 1.0], ids="share{}".format)
def test_how_many_photos_are_coloured_at_once_does_not_change_them(
    share: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    images, found = pictures("photos", count=70), []
    for at_once in (1, 7, 32, 1000):
        monkeypatch.setattr(augmentations, "AT_ONCE", at_once)
        found.append(recorded(images, monkeypatch, JITTER_SHARE=share)[0])
    for other in found[1:]:
        torch.testing.assert_close(other, found[0], atol=1e-7, rtol=0)


def test_about_half_of_the_photos_are_flipped(monkeypatch: pytest.MonkeyPatch) -> None:
    """600 draws at probability .5: outside 240 to 360 once in a million."""
    signs: list[Tensor] = []
    inner = augmentations.warp

    def warp(images: Tensor, matrices: Tensor, outside: str) -> Tensor:
        signs.append(matrices[0, 0].sign())
        return inner(images, matrices, outside)

    monkeypatch.setattr(augmentations, "warp", warp)
    VIEWS["photos"](pictures("photos", count=600, side=8), 1.0, torch.Generator().manual_seed(0))
    flipped = int((signs[0] < 0).sum())
    assert 240 < flipped < 360
    assert int((signs[0] > 0).sum()) == 600 - flipped


def test_a_photo_of_one_colour_stays_of_one_colour(generator: torch.Generator) -> None:
    """A crop lies inside its image, so nothing from outside may be mixed in at its border."""
    images = torch.rand(64, 3, 1, 1, generator=generator).expand(64, 3, 24, 24)
    view = VIEWS["photos"](images, 0.2, generator).flatten(2)
    spread = view.amax(dim=2) - view.amin(dim=2)
    assert spread.max() < 1e-5


def test_glyphs_are_turned_and_sheared_and_not_only_cropped() -> None:
    """A cross through the centre: at full crop its upright bar leans, left or right."""
    images = torch.zeros(32, 1, 24, 24)
    images[:, :, :, 11:13] = 1
    view = VIEWS["glyphs"](images, 1.0, torch.Generator().manual_seed(0))[:, 0]
    columns = torch.arange(24.0)
    top, bottom = ((view[:, row] * columns).sum(1) / view[:, row].sum(1) for row in (5, 18))
    lean = (top - bottom).abs()
    assert lean.max() > 2
    assert (top > bottom).any()
    assert (top < bottom).any()


@pytest.mark.parametrize("crop_scale", [0.08, 0.5, 1.0], ids="scale{}".format)
def test_crops_lie_inside_the_image_and_are_as_large_as_asked(
    crop_scale: float, generator: torch.Generator
) -> None:
    width, height, x, y = random_crops(4000, crop_scale, generator)
    for side, centre in ((width, x), (height, y)):
        assert (centre.abs() + side).max() <= 1 + 1e-6
    ratio = width / height
    assert ratio.min() >= 3 / 4 - 1e-5
    assert ratio.max() <= 4 / 3 + 1e-5
    area = width * height  # a crop wider than the image is cut, to 3/4 of its area at most
    assert area.max() <= 1 + 1e-6
    assert area.min() >= crop_scale * 3 / 4 - 1e-6


def test_small_crops_have_a_uniform_area(generator: torch.Generator) -> None:
    """Where no side is cut the mean of the area is the middle of its range."""
    width, height, _, _ = random_crops(20000, 0.1, generator)
    whole = (width < 1) & (height < 1)
    area = (width * height)[whole & (width * height < 0.7)]
    assert area.mean().item() == pytest.approx(0.4, abs=0.01)


# MoCo v2's view against torchvision's operations, and as often as it should happen.


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
