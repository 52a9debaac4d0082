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
    gray = grayscale(images)
    mean = gray.mean(dim=(1, 2, 3), keepdim=True)
    mean = mean.expand_as(gray).contiguous()  # lerp takes twice as long between two broadcast ones
    return torch.lerp(mean, images, per_image(factor)).clamp_(0, 1)


def adjust_saturation(images: Tensor, factor: Tensor) -> Tensor:
    """Distance from the luminance of the pixel times the factor, cut to [0, 1]."""
    return torch.lerp(grayscale(images), images, per_image(factor)).clamp_(0, 1)


CENTRES = (3.0, -1.0, 1.0)  # hues, times 6, where red, green, blue are smallest


def adjust_hue(images: Tensor, turn: Tensor) -> Tensor:
    """Hue moved by a fraction of the full circle, in [-0.5, 0.5]; value and saturation kept.

    In HSV a channel is v - c * clamp(2 - d, 0, 1), with v the largest channel, c its distance from
    the smallest, and d the distance on the circle of 6 between the hue and the channel's centre.
    The hue is one of three constants of the image, which are folded to [-3, 3], plus at most 1. Its
    difference u from a centre is within [-7, 7], and there clamp(2 - d) is clamp(||u| - 3| - 1).
    """
    red, green, blue = images.unbind(dim=1)
    value = images.amax(dim=1)
    chroma = value - images.amin(dim=1)
    start = 6 * turn[:, None] + torch.arange(0, 6, 2, device=images.device)
    of_red, of_green, of_blue = ((start + 3).remainder(6) - 3).view(-1, 3, 1, 1).unbind(dim=1)
    safe = chroma.clamp_min(1e-20)
    near_red = (green - blue).div_(safe).add_(of_red)
    near_green = (blue - red).div_(safe).add_(of_green)
    near_blue = (red - green).div_(safe).add_(of_blue)
    hue = torch.where(value == green, near_green, near_blue)
    hue = torch.where(value == red, near_red, hue)  # times 6, from -4 to 4
    share = torch.empty_like(images)
    for channel, centre in zip(share.unbind(dim=1), CENTRES, strict=True):
        torch.sub(hue, centre, out=channel)
    share.abs_().sub_(3).abs_().sub_(1).clamp_(0, 1)
    return torch.sub(value[:, None], share.mul_(chroma[:, None]), out=share)


# MoCo v2's jitter: strengths .4, .4, .4 and .1, as ranges of the factors.
JITTER = (adjust_brightness, adjust_contrast, adjust_saturation, adjust_hue)
STRENGTHS = ((0.6, 1.4), (0.6, 1.4), (0.6, 1.4), (-0.1, 0.1))
JITTER_SHARE, GRAY_SHARE = 0.8, 0.2  # of the images
