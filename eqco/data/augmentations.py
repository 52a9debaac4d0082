"""Random views, drawn per image and computed for the whole batch on its device.

N images of C channels and side S. Parameters are drawn on the CPU, so every device gets the same.
Colour jitter has torchvision's meaning.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from eqco.data.color import GRAY_SHARE, JITTER, JITTER_SHARE, STRENGTHS, grayscale
from eqco.runtime.rng import RandomSource, uniform

CPU = torch.device("cpu")


def random_crops(
    count: int, crop_scale: float, generator: RandomSource, device: torch.device
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
    count, _, height, width = images.shape
    sides = (width, height)
    x, y = (((2 * torch.arange(side, device=images.device) + 1) / side) - 1 for side in sides)
    grid = images.new_empty(count, height, width, 2)
    for place, (across, down, shift) in enumerate(rows):  # matrix times (x, y, 1)
        start = torch.addcmul(shift[:, None], down[:, None], y)  # (N, S)
        torch.addcmul(start[:, :, None], across[:, None, None], x, out=grid[..., place])
    return F.grid_sample(images, grid, mode="bilinear", padding_mode=outside, align_corners=False)


def glyph_view(images: Tensor, crop_scale: float, generator: RandomSource) -> Tensor:
    """Crop, turn by up to 10 degrees and shear by up to 0.3; images in [0, 1]."""
    count, device = len(images), images.device
    width, height, x, y = random_crops(count, crop_scale, generator, device)
    angle = uniform(count, -math.radians(10), math.radians(10), generator, device)
    shear = uniform(count, -0.3, 0.3, generator, device)
    cos, sin = angle.cos(), angle.sin()
    across = cos * width, (cos * shear - sin) * height, x
    down = sin * width, (sin * shear + cos) * height, y
    return warp(images, (across, down), "zeros")


def crop_and_flip(images: Tensor, crop_scale: float, generator: RandomSource) -> Tensor:
    """A random crop, mirrored for half of the images; images in [0, 1]."""
    count, device = len(images), images.device
    width, height, x, y = random_crops(count, crop_scale, generator, device)
    zero = torch.zeros_like(x)
    flip = uniform(count, -1.0, 1.0, generator, device).sign()
    return warp(images, ((flip * width, zero, x), (zero, height, y)), "border")


AT_ONCE = 32  # images of 32 pixels whose colours are changed at once: they stay in the cache


def photo_view(images: Tensor, crop_scale: float, generator: RandomSource) -> Tensor:
    """MoCo v2's view for small images: crop, flip, colour jitter (p .8), grayscale (p .2).

    No blur, as is usual at 32 pixels. Jitter is applied in a fixed order: brightness, contrast,
    saturation, hue.
    """
    count, device = len(images), images.device
    images = crop_and_flip(images, crop_scale, generator)
    chosen = uniform(count, 0.0, 1.0, generator, CPU) < JITTER_SHARE
    factors = [uniform(count, low, high, generator, device) for low, high in STRENGTHS]
    gray = uniform(count, 0.0, 1.0, generator, CPU) < GRAY_SHARE
    for rows in torch.split(chosen.nonzero().squeeze(1).to(device), AT_ONCE):
        part = images[rows]
        for change, factor in zip(JITTER, factors, strict=True):
            part = change(part, factor[rows])
        images[rows] = part
    rows = gray.nonzero().squeeze(1).to(device)
    images[rows] = grayscale(images[rows]).expand(-1, 3, -1, -1)
    return images


BLUR_SHARE = 0.5
SIGMA = (0.1, 2.0)  # of the blur, pixels
TAPS = 17  # +-4 sigma at the largest sigma


def drawn(count: int, low: float, high: float, source: RandomSource) -> Tensor:
    """`count` numbers on the CPU: selecting images must not wait for a GPU."""
    return uniform(count, low, high, source, CPU)


def groups(chosen: Tensor, device: torch.device) -> tuple[Tensor, ...]:
    """Rows of the chosen images (N,) that are changed together.

    On a CPU one image at a time, which stays in the cache: up to twice as fast as all at once.
    """
    rows = chosen.nonzero().squeeze(1)
    return torch.split(rows, 1 if device == CPU else len(rows)) if len(rows) else ()


def random_jitter(images: Tensor, source: RandomSource) -> Tensor:
    """Change brightness, contrast, saturation and hue, in a random order for each image (p .8)."""
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


def random_grayscale(images: Tensor, source: RandomSource) -> Tensor:
    """A fifth of the images become gray."""
    gray = drawn(len(images), 0.0, 1.0, source) < GRAY_SHARE
    return torch.where(gray.view(-1, 1, 1, 1).to(images.device), grayscale(images), images)


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


def random_blur(images: Tensor, source: RandomSource) -> Tensor:
    """Half of the images are blurred by a Gaussian of random width."""
    chosen = drawn(len(images), 0.0, 1.0, source) < BLUR_SHARE
    sigma = drawn(len(images), *SIGMA, source)
    images = images.clone()
    for some in groups(chosen, images.device):
        here = some.to(images.device)
        images[here] = gaussian_blur(images[here], sigma[some].to(images.device))
    return images


def random_flip(images: Tensor, source: RandomSource) -> Tensor:
    """Half of the images are mirrored left to right."""
    mirrored = (drawn(len(images), 0.0, 1.0, source) < 0.5).view(-1, 1, 1, 1).to(images.device)
    return torch.where(mirrored, images.flip(3), images)


def moco_view(crops: Tensor, source: RandomSource) -> Tensor:
    """Jitter (p .8), grayscale (p .2), blur (p .5) and flip of crops in [0, 1], shape kept.

    Source: Chen et al., arXiv 2003.04297, and the code of facebookresearch/moco.
    """
    for change in (random_jitter, random_grayscale, random_blur, random_flip):
        crops = change(crops, source)
    return crops


# Views of whole images, which are cropped on the device; and of crops that come from files.
VIEWS: dict[str, Callable[[Tensor, float, RandomSource], Tensor]] = {
    "glyphs": glyph_view,
    "photos": photo_view,
}
# Views that a probe perturbs images by: crops of 80 % of the area at least, colours unchanged.
MILD: dict[str, Callable[[Tensor, RandomSource], Tensor]] = {
    "glyphs": lambda images, source: glyph_view(images, 0.8, source),
    "photos": lambda images, source: crop_and_flip(images, 0.8, source),
}
AFTER_CROP: dict[str, Callable[[Tensor, RandomSource], Tensor]] = {"moco-v2": moco_view}


def normalise(images: Tensor, mean: Tensor, std: Tensor) -> Tensor:
    """Subtract the channel means and divide by the deviations of the training set."""
    return (images - mean.view(1, -1, 1, 1)) / std.view(1, -1, 1, 1)
