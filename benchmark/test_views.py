"""Two random views of each image, without decoding; images a second."""

from __future__ import annotations

import pytest
import torch

from benchmark import peers
from benchmark.inputs import pictures, random_images
from benchmark.measure import Compare, Timed
from eqco.data.augmentations import AFTER_CROP, VIEWS

pytestmark = pytest.mark.benchmark(group="views")


def two_views(name: str, images: torch.Tensor, crop_scale: float) -> Timed:
    """Two views of whole images of a batch, as training makes them."""
    draw, view = torch.Generator().manual_seed(0), VIEWS[name]
    return Timed(
        lambda: (view(images, crop_scale, draw), view(images, crop_scale, draw)), images=len(images)
    )


def test_glyphs(compare: Compare) -> None:
    images = random_images(compare.size(256, 8), 24, channels=1).float() / 255
    compare("glyphs of 24", ours=two_views("glyphs", images, 0.8), unit="images/s")


def test_photos(compare: Compare) -> None:
    images = random_images(compare.size(256, 8), 32)
    single_images = images[: compare.size(32, 2)]
    lightly = peers.lightly_view(32, blur=0.0)
    compare(
        "photos of 32",
        ours=two_views("photos", images.float() / 255, 0.2),
        kornia=peers.kornia_views(images.float() / 255, 32, blur=False),
        lightly=lightly and peers.per_image(lightly, pictures(single_images)),
        torchvision=peers.per_image(
            peers.torchvision_view(32, blur=False, tensor=True), list(single_images), views=2
        ),
        unit="images/s",
    )


def test_photographs_of_224(compare: Compare) -> None:
    side = compare.size(224, 16)
    images = random_images(compare.size(16, 2), side)
    crops = images.float() / 255
    draw, view = torch.Generator().manual_seed(0), AFTER_CROP["moco-v2"]
    lightly = peers.lightly_view(side, blur=0.5)
    compare(
        "after the crop, of 224",
        ours=Timed(lambda: (view(crops, draw), view(crops, draw)), images=len(images)),
        kornia=peers.kornia_views(crops, side, blur=side > 16),
        lightly=lightly and peers.per_image(lightly, pictures(images)),
        torchvision=peers.per_image(
            peers.torchvision_view(side, blur=side > 23, tensor=True), list(images), views=2
        ),
        unit="images/s",
        rounds=7,
    )
