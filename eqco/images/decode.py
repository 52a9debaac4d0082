"""The only decoder: a picture of any format and colour that Pillow reads, in colour."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor


def picture(path: Path) -> Image.Image:
    """The picture in a file, RGB.

    Raises:
        ValueError: it cannot be read. Pillow and its plugins raise exceptions of many types on
            damaged files, so every type is caught.
    """
    try:
        with Image.open(path) as opened:
            return opened.convert("RGB")
    except Exception as error:
        raise ValueError(f"cannot read image {path}: {error}; repair or delete it") from error


def decode(path: Path) -> Tensor:
    """The picture in a file, uint8 (3, H, W).

    A pixel's channels stay side by side in memory: torchvision resizes that twice as fast as
    planes, to the same bytes.

    Raises:
        ValueError: it cannot be read.
    """
    return torch.from_numpy(np.array(picture(path))).permute(2, 0, 1)
