"""MoCo v2's view after the crop: colour jitter, grayscale, blur, flip; drawn for each image.

N images of side S in [0, 1], on any device. Numbers are drawn on the CPU, so every device gets the
same. Jitter has torchvision's meaning and, as there, its four parts in random order.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from kornia.color import rgb_to_grayscale
from kornia.enhance import (
    adjust_contrast_with_mean_subtraction,
    adjust_hue,
    adjust_saturation_with_gray_subtraction,
)
from kornia.filters import gaussian_blur2d
from torch import Tensor

from eqco.randomness import Source, uniform

CPU = torch.device("cpu")


def adjust_brightness(images: Tensor, factor: Tensor) -> Tensor:
    """Images (N, 3, S, S) times their factors (N,), cut at 1."""
    return (images * factor.view(-1, 1, 1, 1)).clamp(0, 1)


def turn_hue(images: Tensor, turns: Tensor) -> Tensor:
    """Hue moved by a fraction of the full circle for each image, in [-0.5, 0.5]."""
    return adjust_hue(images, turns * 2 * math.pi)


# Part of the jitter, with the range of its factor: strengths .4, .4, .4 and .1.
JITTER: tuple[tuple[Callable[[Tensor, Tensor], Tensor], float, float], ...] = (
    (adjust_brightness, 0.6, 1.4),
    (adjust_contrast_with_mean_subtraction, 0.6, 1.4),
    (adjust_saturation_with_gray_subtraction, 0.6, 1.4),
    (turn_hue, -0.1, 0.1),
)
JITTER_SHARE, GRAY_SHARE, BLUR_SHARE = 0.8, 0.2, 0.5
SIGMA = (0.1, 2.0)  # of the blur, pixels
TAPS = 17  # +-4 sigma at the largest sigma


def drawn(count: int, low: float, high: float, source: Source) -> Tensor:
    """`count` numbers on the CPU: selecting images must not wait for a GPU."""
    return uniform(count, low, high, source, CPU)


def jitter(images: Tensor, source: Source) -> Tensor:
    """Change brightness, contrast, saturation and hue, in a random order for each image."""
    count, device = len(images), images.device
    chosen = drawn(count, 0.0, 1.0, source) < JITTER_SHARE
    factors = [drawn(count, low, high, source) for _, low, high in JITTER]
    lots = torch.stack([drawn(count, 0.0, 1.0, source) for _ in JITTER], dim=1)
    order = lots.argsort(dim=1)  # (N, 4): what comes first, second, ...
    images = images.clone()
    for place in range(len(JITTER)):
        for number, (change, _, _) in enumerate(JITTER):
            rows = (chosen & (order[:, place] == number)).nonzero().squeeze(1)
            if len(rows):
                here = rows.to(device)
                images[here] = change(images[here], factors[number][rows].to(device))
    return images


def grayscale(images: Tensor, source: Source) -> Tensor:
    """A fifth of the images become gray."""
    gray = drawn(len(images), 0.0, 1.0, source) < GRAY_SHARE
    return torch.where(gray.view(-1, 1, 1, 1).to(images.device), rgb_to_grayscale(images), images)


def blur(images: Tensor, source: Source) -> Tensor:
    """Half of the images are blurred by a Gaussian of random width."""
    chosen = drawn(len(images), 0.0, 1.0, source) < BLUR_SHARE
    sigma = drawn(len(images), *SIGMA, source)
    rows = chosen.nonzero().squeeze(1)
    if not len(rows):
        return images
    here, images = rows.to(images.device), images.clone()
    widths = sigma[rows].to(images.device)[:, None].expand(-1, 2)
    images[here] = gaussian_blur2d(images[here], TAPS, widths, border_type="replicate")
    return images


def flip(images: Tensor, source: Source) -> Tensor:
    """Half of the images are mirrored left to right."""
    mirrored = (drawn(len(images), 0.0, 1.0, source) < 0.5).view(-1, 1, 1, 1).to(images.device)
    return torch.where(mirrored, images.flip(3), images)


def moco_view(crops: Tensor, source: Source) -> Tensor:
    """Jitter (p .8), grayscale (p .2), blur (p .5) and flip of crops in [0, 1], shape kept.

    Source: Chen et al., arXiv 2003.04297, and the code of facebookresearch/moco.
    """
    for change in (jitter, grayscale, blur, flip):
        crops = change(crops, source)
    return crops
