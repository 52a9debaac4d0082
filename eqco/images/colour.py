"""Colour operations of random views, with a factor for each image. N images (N, 3, S, S) in [0, 1].

They are torchvision's operations (`torchvision.transforms.v2.functional`) for a batch in which
every image has its own factor. Hue is moved without converting to HSV and back, which is several
times faster.
"""

from __future__ import annotations

import torch
from torch import Tensor

GRAY = (0.2989, 0.587, 0.114)  # torchvision's weights of red, green and blue


def per_image(factor: Tensor) -> Tensor:
    """Factors (N,) as (N, 1, 1, 1)."""
    return factor.view(-1, 1, 1, 1)


def grayscale(images: Tensor) -> Tensor:
    """Luminance, shape (N, 1, S, S)."""
    red, green, blue = images.unbind(dim=1)
    return (GRAY[0] * red).add_(green, alpha=GRAY[1]).add_(blue, alpha=GRAY[2])[:, None]


def adjust_brightness(images: Tensor, factor: Tensor) -> Tensor:
    """Images times their factors, cut at 1."""
    return (images * per_image(factor)).clamp_(0, 1)


def adjust_contrast(images: Tensor, factor: Tensor) -> Tensor:
    """Distance from the mean luminance of the image times the factor, cut to [0, 1]."""
    mean = grayscale(images).mean(dim=(1, 2, 3), keepdim=True)
    return torch.lerp(mean, images, per_image(factor)).clamp_(0, 1)


def adjust_saturation(images: Tensor, factor: Tensor) -> Tensor:
    """Distance from the luminance of the pixel times the factor, cut to [0, 1]."""
    return torch.lerp(grayscale(images), images, per_image(factor)).clamp_(0, 1)


def adjust_hue(images: Tensor, turn: Tensor) -> Tensor:
    """Hue moved by a fraction of the full circle, in [-0.5, 0.5]; value and saturation kept.

    In HSV a channel is v - c * clamp(min(k, 4 - k), 0, 1) with k = (n + 6 h) mod 6, n = 5, 3, 1
    for red, green, blue, v the largest channel and c its distance from the smallest.
    """
    red, green, blue = images.unbind(dim=1)
    value, _ = images.max(dim=1)
    chroma = value - images.amin(dim=1)
    safe = torch.where(chroma == 0, 1.0, chroma)
    hue = torch.where(
        value == red,
        (green - blue) / safe,
        torch.where(value == green, (blue - red) / safe + 2, (red - green) / safe + 4),
    )  # times 6, from -1 to 5
    hue += 6 * turn.view(-1, 1, 1)
    start = torch.tensor([5.0, 3.0, 1.0], device=images.device).view(1, 3, 1, 1)
    k = (hue[:, None] + start).remainder_(6)
    k = torch.minimum(k, 4 - k).clamp_(0, 1)
    return torch.addcmul(value[:, None], chroma[:, None], k, value=-1)


# MoCo v2's jitter: strengths .4, .4, .4 and .1, as ranges of the factors.
JITTER = (adjust_brightness, adjust_contrast, adjust_saturation, adjust_hue)
STRENGTHS = ((0.6, 1.4), (0.6, 1.4), (0.6, 1.4), (-0.1, 0.1))
JITTER_SHARE, GRAY_SHARE = 0.8, 0.2  # of the images
