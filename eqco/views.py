"""Random views, drawn per image and computed for the whole batch on its device.

N images of C channels and side S. Parameters are drawn on the CPU, so every device gets the same.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor


def seed_for(seed: int, *labels: int | str) -> int:
    """A seed that depends on another one and the labels alone: the first 63 bits of a SHA-256."""
    text = "/".join(str(part) for part in (seed, *labels))
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1


def generator_for(seed: int, *labels: int | str) -> torch.Generator:
    """A CPU generator that depends on the seed and the labels alone.

    Each step of a run draws from generators of its own, so that a resumed run needs no saved
    state, and runs with the same seed see the same batches and views whatever their loss.
    """
    return torch.Generator().manual_seed(seed_for(seed, *labels))


@dataclass(frozen=True)
class Part:
    """The draws of a part of a batch: all are drawn, and those of its images are taken.

    Attributes:
        generator: CPU generator, the same for every part.
        total: images in the whole batch.
        first: place of the part's first image in it.
    """

    generator: torch.Generator
    total: int
    first: int


Source = torch.Generator | Part


def uniform(count: int, low: float, high: float, source: Source, device: torch.device) -> Tensor:
    """`count` numbers from [low, high), shape (count,), on `device`."""
    if isinstance(source, Part):
        drawn = torch.rand(source.total, generator=source.generator)
        drawn = drawn[source.first : source.first + count]
    else:
        drawn = torch.rand(count, generator=source)
    return (low + (high - low) * drawn).to(device)


def random_crops(
    count: int,
    crop_scale: float,
    generator: Source,
    device: torch.device,
) -> tuple[Tensor, ...]:
    """Width, height, centre x, centre y of crops inside [-1, 1]^2, each of shape (count,).

    Area uniform in [crop_scale, 1], aspect log-uniform in [3/4, 4/3], sides cut to the image.
    """
    area = uniform(count, crop_scale, 1.0, generator, device)
    aspect = uniform(count, -math.log(4 / 3), math.log(4 / 3), generator, device).exp()
    width, height = (area * aspect).sqrt().clamp(max=1), (area / aspect).sqrt().clamp(max=1)
    x = uniform(count, -1.0, 1.0, generator, device) * (1 - width)
    y = uniform(count, -1.0, 1.0, generator, device) * (1 - height)
    return width, height, x, y


def warp(
    images: Tensor, rows: tuple[tuple[Tensor, ...], tuple[Tensor, ...]], outside: str = "zeros"
) -> Tensor:
    """Sample images (N, C, S, S) bilinearly through 2x3 matrices given by their two rows.

    `outside` says what lies beyond the image: "zeros" (for glyphs) or "border".
    """
    matrix = torch.stack([torch.stack(row, dim=1) for row in rows], dim=1)  # (N, 2, 3)
    grid = F.affine_grid(matrix, list(images.shape), align_corners=False)
    return F.grid_sample(images, grid, mode="bilinear", padding_mode=outside, align_corners=False)


def glyph_view(images: Tensor, crop_scale: float, generator: Source) -> Tensor:
    """Crop, turn by up to 10 degrees and shear by up to 0.3; images in [0, 1]."""
    count, device = len(images), images.device
    width, height, x, y = random_crops(count, crop_scale, generator, device)
    angle = uniform(count, -math.radians(10), math.radians(10), generator, device)
    shear = uniform(count, -0.3, 0.3, generator, device)
    cos, sin = angle.cos(), angle.sin()
    return warp(
        images,
        (
            (cos * width, (cos * shear - sin) * height, x),
            (sin * width, (sin * shear + cos) * height, y),
        ),
        "zeros",
    )


def photo_view(images: Tensor, crop_scale: float, generator: Source) -> Tensor:
    """MoCo v2's view for small images: crop, flip, colour jitter (p .8), grayscale (p .2).

    No blur, as is usual at 32 pixels. Jitter is applied in a fixed order: brightness, contrast,
    saturation, hue.
    """
    from kornia import enhance
    from kornia.color import rgb_to_grayscale

    count, device = len(images), images.device
    width, height, x, y = random_crops(count, crop_scale, generator, device)
    zero = torch.zeros_like(x)
    flip = uniform(count, -1.0, 1.0, generator, device).sign()
    images = warp(images, ((flip * width, zero, x), (zero, height, y)), "border")

    jitter = uniform(count, 0.0, 1.0, generator, device) < 0.8
    factors = [
        torch.where(jitter, uniform(count, 0.6, 1.4, generator, device), 1.0) for _ in range(3)
    ]
    turn = uniform(count, -0.1, 0.1, generator, device) * jitter * 2 * math.pi  # radians
    images = (images * factors[0].view(-1, 1, 1, 1)).clamp(0, 1)
    images = enhance.adjust_contrast_with_mean_subtraction(images, factors[1])
    images = enhance.adjust_saturation_with_gray_subtraction(images, factors[2])
    images = enhance.adjust_hue(images, turn)
    gray = uniform(count, 0.0, 1.0, generator, device) < 0.2
    return torch.where(gray.view(-1, 1, 1, 1), rgb_to_grayscale(images), images)


VIEWS: dict[str, Callable[[Tensor, float, Source], Tensor]] = {
    "glyphs": glyph_view,
    "photos": photo_view,
}


def normalise(images: Tensor, mean: Tensor, std: Tensor) -> Tensor:
    """Subtract the channel means and divide by the deviations of the training set."""
    return (images - mean.view(1, -1, 1, 1)) / std.view(1, -1, 1, 1)
