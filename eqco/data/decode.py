"""The only decoder: a picture of any format and colour that Pillow reads rightly, in colour."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from eqco.runtime.validation import one_line

# Modes of Pillow that `convert("RGB")` shows as they are; opacity is dropped, as by torchvision.
CONVERTED = frozenset(("1", "L", "P", "PA", "LA", "RGB", "RGBA", "RGBa", "RGBX", "CMYK", "YCbCr"))
SIXTEEN_BIT = frozenset(("I;16", "I;16L", "I;16B", "I;16N"))
LEVELS = 257  # 65535 / 255: levels of 16 bits in one of 8; Pillow itself cuts them off at 255
BITS_PER_SAMPLE, PHOTOMETRIC = 258, 262  # tags of TIFF


class ImageError(ValueError):
    """A picture cannot be read; the message is one line with its path."""


def is_sixteen_bit(opened: Image.Image) -> bool:
    """Whether a gray picture has levels 0 .. 65535, black to white.

    Pillow gives PNG and PPM as such, also in mode I; a TIFF may have 12 bits, or white at 0.
    """
    if opened.format == "TIFF":
        tags = getattr(opened, "tag_v2", {})
        plain = tags.get(BITS_PER_SAMPLE) == (16,) and tags.get(PHOTOMETRIC) == 1
        return opened.mode in SIXTEEN_BIT and plain
    return opened.format in ("PNG", "PPM") and opened.mode in {*SIXTEEN_BIT, "I"}


def in_colour(opened: Image.Image) -> Image.Image:
    """A picture as RGB.

    Raises:
        ValueError: its mode has no certain range, such as F (floating point), or no conversion.
    """
    if opened.mode in CONVERTED:
        return opened.convert("RGB")
    if is_sixteen_bit(opened):
        levels = np.asarray(opened).astype(np.int64)
        gray = (levels + LEVELS // 2) // LEVELS
        return Image.fromarray(gray.astype(np.uint8)).convert("RGB")
    raise ValueError(f"mode {opened.mode} of {opened.format} is not supported: unknown value range")


def what_failed(error: Exception) -> str:
    """Why a picture cannot be read, and what to do about the file where the system is not why."""
    if isinstance(error, OSError) and error.errno:
        return f"{error.strerror}"
    text = one_line(" ".join(str(error).split()) or type(error).__name__)
    return f"{text[:300]}; convert, repair or delete it"


def picture(path: Path) -> Image.Image:
    """The picture in a file, RGB, as it is stored: an orientation in EXIF is not applied.

    Raises:
        ImageError: it cannot be read. Pillow and its plugins raise exceptions of many types on
            damaged files, so every type is caught.
    """
    try:
        with Image.open(path) as opened:
            return in_colour(opened)
    except Exception as error:
        raise ImageError(f"cannot read image {one_line(path)}: {what_failed(error)}") from error


def decode(path: Path) -> Tensor:
    """The picture in a file, uint8 (3, H, W).

    A pixel's channels stay side by side in memory: torchvision resizes that twice as fast as
    planes, to the same bytes.

    Raises:
        ImageError: it cannot be read.
    """
    return torch.from_numpy(np.array(picture(path))).permute(2, 0, 1)
