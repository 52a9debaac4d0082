"""Random views, drawn per image and computed for the whole batch on its device.

N images of C channels and side S. Parameters are drawn on the CPU, so every device gets the same.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from eqco.randomness import Source, uniform


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


def moco_view(crops: Tensor, source: Source) -> Tensor:
    """MoCo v2's jitter, grayscale, blur and flip of crops (N, 3, S, S) in [0, 1].

    Source: see `eqco.images.photometric`.
    """
    from eqco.images import photometric  # imports kornia, which takes a second

    return photometric.moco_view(crops, source)


# Views of whole images, which are cropped on the device; and of crops that come from files.
VIEWS: dict[str, Callable[[Tensor, float, Source], Tensor]] = {
    "glyphs": glyph_view,
    "photos": photo_view,
}
AFTER_CROP: dict[str, Callable[[Tensor, Source], Tensor]] = {"moco-v2": moco_view}


def normalise(images: Tensor, mean: Tensor, std: Tensor) -> Tensor:
    """Subtract the channel means and divide by the deviations of the training set."""
    return (images - mean.view(1, -1, 1, 1)) / std.view(1, -1, 1, 1)
