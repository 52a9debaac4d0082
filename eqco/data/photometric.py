"""MoCo v2's view after the crop: colour jitter, grayscale, blur, flip; drawn for each image.

N images of side S in [0, 1], on any device. Numbers are drawn on the CPU, so every device gets the
same. Jitter has torchvision's meaning and, as there, its four parts in random order.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from eqco.data import color
from eqco.data.color import GRAY_SHARE, JITTER, JITTER_SHARE, STRENGTHS
from eqco.runtime.rng import Source, uniform

CPU = torch.device("cpu")


BLUR_SHARE = 0.5
SIGMA = (0.1, 2.0)  # of the blur, pixels
TAPS = 17  # +-4 sigma at the largest sigma


def drawn(count: int, low: float, high: float, source: Source) -> Tensor:
    """`count` numbers on the CPU: selecting images must not wait for a GPU."""
    return uniform(count, low, high, source, CPU)


def groups(chosen: Tensor, device: torch.device) -> tuple[Tensor, ...]:
    """Rows of the chosen images (N,) that are changed together.

    On a CPU one image at a time, which stays in the cache: up to twice as fast as all at once.
    """
    rows = chosen.nonzero().squeeze(1)
    return torch.split(rows, 1 if device == CPU else len(rows)) if len(rows) else ()


def jitter(images: Tensor, source: Source) -> Tensor:
    """Change brightness, contrast, saturation and hue, in a random order for each image."""
    count, device = len(images), images.device
    chosen = drawn(count, 0.0, 1.0, source) < JITTER_SHARE
    factors = [drawn(count, low, high, source) for low, high in STRENGTHS]
    keys = torch.stack([drawn(count, 0.0, 1.0, source) for _ in JITTER], dim=1)
    order = keys.argsort(dim=1)  # (N, 4): what comes first, second, ...
    images = images.clone()
    for rows in groups(chosen, device):
        part = images[rows.to(device)]
        for numbers in order[rows].unbind(dim=1):
            for number in set(numbers.tolist()):
                some = (numbers == number).nonzero().squeeze(1)
                factor = factors[number][rows[some]].to(device)
                if len(some) == len(rows):
                    part = JITTER[number](part, factor)
                else:
                    here = some.to(device)
                    part[here] = JITTER[number](part[here], factor)
        images[rows.to(device)] = part
    return images


def grayscale(images: Tensor, source: Source) -> Tensor:
    """A fifth of the images become gray."""
    gray = drawn(len(images), 0.0, 1.0, source) < GRAY_SHARE
    return torch.where(gray.view(-1, 1, 1, 1).to(images.device), color.grayscale(images), images)


def gaussian_blur(images: Tensor, sigma: Tensor) -> Tensor:
    """Images (N, C, H, W) blurred by Gaussians of their own widths (N,), pixels; edges repeated.

    One tap of all pixels after the other: no number is read from the device.
    """
    reach = TAPS // 2
    distance = torch.arange(-reach, reach + 1, device=images.device)
    weights = torch.exp(-(distance**2) / (2 * sigma[:, None] ** 2))  # (N, TAPS)
    weights = (weights / weights.sum(dim=1, keepdim=True))[:, :, None, None, None]
    for axis, edges in ((3, (reach, reach, 0, 0)), (2, (0, 0, reach, reach))):
        side, padded = images.shape[axis], F.pad(images, edges, mode="replicate")
        images = padded.narrow(axis, 0, side) * weights[:, 0]
        for tap in range(1, TAPS):
            images.addcmul_(padded.narrow(axis, tap, side), weights[:, tap])
    return images


def blur(images: Tensor, source: Source) -> Tensor:
    """Half of the images are blurred by a Gaussian of random width."""
    chosen = drawn(len(images), 0.0, 1.0, source) < BLUR_SHARE
    sigma = drawn(len(images), *SIGMA, source)
    images = images.clone()
    for some in groups(chosen, images.device):
        here = some.to(images.device)
        images[here] = gaussian_blur(images[here], sigma[some].to(images.device))
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
