"""Random views, drawn per image and computed for the whole batch on its device.

N images of C channels and side S. Parameters are drawn on the CPU, so every device gets the same.
Colour jitter has torchvision's meaning.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from eqco.data.color import GRAY_SHARE, JITTER, JITTER_SHARE, STRENGTHS, grayscale
from eqco.runtime.rng import RandomSource, uniform
from eqco.runtime.transfer import all_to_device, to_device


def random_crops(count: int, crop_scale: float, source: RandomSource) -> tuple[Tensor, ...]:
    """Width, height, centre x, centre y of crops inside [-1, 1]^2, each of shape (count,).

    Area uniform in [crop_scale, 1], aspect log-uniform in [3/4, 4/3], sides cut to the image.
    """
    area = uniform(count, crop_scale, 1.0, source)
    aspect = uniform(count, -math.log(4 / 3), math.log(4 / 3), source).exp()
    width, height = (area * aspect).sqrt().clamp(max=1), (area / aspect).sqrt().clamp(max=1)
    x = uniform(count, -1.0, 1.0, source) * (1 - width)
    y = uniform(count, -1.0, 1.0, source) * (1 - height)
    return width, height, x, y


def warp(images: Tensor, matrices: Tensor, outside: str = "zeros") -> Tensor:
    """Sample images (N, C, S, S) bilinearly through matrices (2, 3, N).

    `outside` says what lies beyond the image: "zeros" (for glyphs) or "border".
    """
    count, _, height, width = images.shape
    sides = (width, height)
    x, y = (torch.arange(1, 2 * side, 2, device=images.device) / side - 1 for side in sides)
    grid = images.new_empty(count, height, width, 2)
    for place, (across, down, shift) in enumerate(matrices):  # matrix times (x, y, 1)
        start = torch.addcmul(shift[:, None], down[:, None], y)  # (N, S)
        torch.addcmul(start[:, :, None], across[:, None, None], x, out=grid[..., place])
    return F.grid_sample(images, grid, mode="bilinear", padding_mode=outside, align_corners=False)


def glyph_view(images: Tensor, crop_scale: float, source: RandomSource) -> Tensor:
    """Crop, turn by up to 10 degrees and shear by up to 0.3; images in [0, 1]."""
    count = len(images)
    width, height, x, y = random_crops(count, crop_scale, source)
    angle = uniform(count, -math.radians(10), math.radians(10), source)
    shear = uniform(count, -0.3, 0.3, source)
    cos, sin = angle.cos(), angle.sin()
    across = cos * width, (cos * shear - sin) * height, x
    down = sin * width, (sin * shear + cos) * height, y
    matrices = torch.stack([*across, *down]).view(2, 3, count)
    return warp(images, to_device(matrices, images.device), "zeros")


def crop_and_flip(count: int, crop_scale: float, source: RandomSource) -> Tensor:
    """Matrices (2, 3, N) of random crops, mirrored for half of the images; on the CPU."""
    width, height, x, y = random_crops(count, crop_scale, source)
    zero = torch.zeros_like(x)
    flip = uniform(count, -1.0, 1.0, source).sign()
    return torch.stack([flip * width, zero, x, zero, height, y]).view(2, 3, count)


def cropped_view(images: Tensor, crop_scale: float, source: RandomSource) -> Tensor:
    """Crop and flip; images in [0, 1]."""
    matrices = crop_and_flip(len(images), crop_scale, source)
    return warp(images, to_device(matrices, images.device), "border")


def random_mask(count: int, share: float, source: RandomSource) -> Tensor:
    """Whether each image is among a random share of them, shape (count,), on the CPU."""
    return uniform(count, 0.0, 1.0, source) < share


def jitter_factors(count: int, source: RandomSource) -> Tensor:
    """Factors (4, N) of brightness, contrast, saturation and hue, on the CPU."""
    return torch.stack([uniform(count, low, high, source) for low, high in STRENGTHS])


def on_cpu(images: Tensor) -> bool:
    """Whether changing few images at once pays, because they stay in the cache."""
    return images.device.type == "cpu"


AT_ONCE = 32  # images of 32 pixels whose colours are changed at once on a CPU


def photo_view(images: Tensor, crop_scale: float, source: RandomSource) -> Tensor:
    """MoCo v2's view for small images: crop, flip, colour jitter (p .8), grayscale (p .2).

    No blur, as is usual at 32 pixels. Jitter is applied in a fixed order: brightness, contrast,
    saturation, hue.
    """
    count, device = len(images), images.device
    matrices = crop_and_flip(count, crop_scale, source)
    jittered = random_mask(count, JITTER_SHARE, source).nonzero().squeeze(1)
    factors = jitter_factors(count, source)[:, jittered]
    gray = random_mask(count, GRAY_SHARE, source).nonzero().squeeze(1)
    drawn = (matrices, jittered, factors, gray)
    matrices, jittered, factors, gray = all_to_device(drawn, device)
    images = warp(images, matrices, "border")
    size = AT_ONCE if on_cpu(images) else count
    parts = zip(torch.split(jittered, size), torch.split(factors, size, dim=1), strict=True)
    for rows, row_factors in parts:
        part = images[rows]
        for change, factor in zip(JITTER, row_factors, strict=True):
            part = change(part, factor)
        images[rows] = part
    images[gray] = grayscale(images[gray]).expand(-1, 3, -1, -1)
    return images


BLUR_SHARE = 0.5
SIGMA = (0.1, 2.0)  # of the blur, pixels
TAPS = 17  # +-4 sigma at the largest sigma


def random_jitter(images: Tensor, source: RandomSource) -> Tensor:
    """Change brightness, contrast, saturation and hue, in a random order for each image (p .8)."""
    count = len(images)
    jittered = random_mask(count, JITTER_SHARE, source).nonzero().squeeze(1)
    factors = jitter_factors(count, source)
    keys = torch.stack([uniform(count, 0.0, 1.0, source) for _ in JITTER], dim=1)
    order = keys.argsort(dim=1)  # (N, 4): what comes first, second, ...
    jitter = jitter_one_by_one if on_cpu(images) else jitter_together
    return jitter(images.clone(), jittered, factors, order)


def jitter_one_by_one(images: Tensor, rows: Tensor, factors: Tensor, order: Tensor) -> Tensor:
    """Jitter some rows of images, in place: on a CPU up to twice as fast as all together."""
    for row in rows.tolist():
        image = images[row : row + 1]
        for number in order[row].tolist():
            image = JITTER[number](image, factors[number, row : row + 1])
        images[row] = image[0]
    return images


def jitter_together(images: Tensor, rows: Tensor, factors: Tensor, order: Tensor) -> Tensor:
    """Jitter some rows of images on a device, in place: those with the same next operation."""
    turns = [
        (number, rows[turn == number])
        for turn in order[rows].unbind(dim=1)
        for number in range(len(JITTER))
    ]
    needed = [part for number, group in turns for part in (group, factors[number, group])]
    sent = iter(all_to_device(needed, images.device))
    for number, _ in turns:
        group_rows, factor = next(sent), next(sent)
        images[group_rows] = JITTER[number](images[group_rows], factor)
    return images


def random_grayscale(images: Tensor, source: RandomSource) -> Tensor:
    """A fifth of the images become gray."""
    gray = to_device(random_mask(len(images), GRAY_SHARE, source), images.device)
    return torch.where(gray.view(-1, 1, 1, 1), grayscale(images), images)


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
    rows = random_mask(len(images), BLUR_SHARE, source).nonzero().squeeze(1)
    sigma = uniform(len(images), *SIGMA, source)[rows]
    rows, sigma = all_to_device((rows, sigma), images.device)
    images = images.clone()
    size = 1 if on_cpu(images) else len(images)
    for part, widths in zip(torch.split(rows, size), torch.split(sigma, size), strict=True):
        images[part] = gaussian_blur(images[part], widths)
    return images


def random_flip(images: Tensor, source: RandomSource) -> Tensor:
    """Half of the images are mirrored left to right."""
    mirrored = to_device(random_mask(len(images), 0.5, source), images.device)
    return torch.where(mirrored.view(-1, 1, 1, 1), images.flip(3), images)


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
    "photos": lambda images, source: cropped_view(images, 0.8, source),
}
AFTER_CROP: dict[str, Callable[[Tensor, RandomSource], Tensor]] = {"moco-v2": moco_view}


def normalise(images: Tensor, mean: Tensor, std: Tensor) -> Tensor:
    """Subtract the channel means and divide by the deviations of the training set."""
    return (images - mean.view(1, -1, 1, 1)) / std.view(1, -1, 1, 1)


VIEW_NAMES = ("query", "key")


def two_views(
    view: Callable[[Tensor, Sequence[str]], Tensor], first: Tensor, second: Tensor
) -> tuple[Tensor, Tensor]:
    """Query view of one batch (N, C, S, S) and key view of the other.

    On a device both are made at once, by half as many operations; on a CPU one after the other,
    which stays in the cache.
    """
    if on_cpu(first):
        return view(first, VIEW_NAMES[:1]), view(second, VIEW_NAMES[1:])
    query, key = view(torch.cat([first, second]), VIEW_NAMES).chunk(2)
    return query, key
