"""Glyphs: a data set drawn from the typefaces that matplotlib installs.

One image per code point and DejaVu style; the class is the code point. Nine styles to train on,
three held out. Held-out pictures that equal a training picture, such as symbols that an oblique
style draws upright, are left out. Nothing is downloaded.
"""

from __future__ import annotations

import hashlib
import unicodedata
from functools import cache
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from eqco.runtime.plotting import load_matplotlib

TRAIN_STYLES = (
    "DejaVuSans",
    "DejaVuSans-Bold",
    "DejaVuSans-Oblique",
    "DejaVuSansMono",
    "DejaVuSansMono-Bold",
    "DejaVuSansMono-BoldOblique",
    "DejaVuSerif",
    "DejaVuSerif-Bold",
    "DejaVuSerif-Italic",
)
TEST_STYLES = ("DejaVuSans-BoldOblique", "DejaVuSansMono-Oblique", "DejaVuSerif-BoldItalic")
SIDE = 24  # pixels
FONT_SIZE = 18  # pixels per em
BASELINE = (SIDE // 2, 17)  # x, y of the middle of a glyph's baseline
# Of the pixels of Pillow 13.0 and matplotlib 3.11; records made from other pixels carry a note.
FINGERPRINT = "cfe67955ef90f6c6"


def font_folder() -> Path:
    """Folder of the DejaVu typefaces inside the installed matplotlib."""
    return Path(load_matplotlib().get_data_path()) / "fonts" / "ttf"


@cache
def candidates() -> tuple[int, ...]:
    """Letters, numbers, punctuation and symbols that all twelve typefaces can draw, ascending."""
    load_matplotlib()
    from matplotlib.ft2font import FT2Font

    paths = (str(font_folder() / f"{style}.ttf") for style in TRAIN_STYLES + TEST_STYLES)
    shared = set.intersection(*(set(FT2Font(path).get_charmap()) for path in paths))
    return tuple(p for p in sorted(shared) if unicodedata.category(chr(p))[0] in "LNPS")


def draw(style: str, points: tuple[int, ...]) -> np.ndarray:
    """White-on-black pictures of `points` in one typeface, uint8, shape (len(points), 24, 24)."""
    from PIL import Image, ImageDraw, ImageFont

    path = str(font_folder() / f"{style}.ttf")
    font = ImageFont.truetype(path, FONT_SIZE, layout_engine=ImageFont.Layout.BASIC)
    pictures = np.empty((len(points), SIDE, SIDE), dtype=np.uint8)
    for row, point in enumerate(points):
        canvas = Image.new("L", (SIDE, SIDE))
        ImageDraw.Draw(canvas).text(BASELINE, chr(point), fill=255, font=font, anchor="ms")
        pictures[row] = np.asarray(canvas)
    return pictures


@cache
def render() -> tuple[tuple[int, ...], Tensor, Tensor]:
    """Draw the whole set.

    A code point is left out where some style draws it blank, or draws it exactly like an earlier
    code point (Greek capital alpha like Latin A), so that every picture has one correct label.

    Returns:
        The code points, one per class; training images uint8 (C, 9, 24, 24); held-out images
        uint8 (C, 3, 24, 24).
    """
    points = candidates()
    pictures = np.stack([draw(style, points) for style in TRAIN_STYLES + TEST_STYLES], axis=1)
    seen: set[tuple[int, bytes]] = set()
    keep = []
    for row, picture in enumerate(pictures):
        keys = {(style, image.tobytes()) for style, image in enumerate(picture)}
        if keys.isdisjoint(seen) and picture.any(axis=(1, 2)).all():
            keep.append(row)
            seen |= keys
    images = torch.from_numpy(pictures[keep])
    return tuple(points[row] for row in keep), images[:, :9], images[:, 9:]


@cache
def unseen() -> Tensor:
    """Which held-out pictures equal no training picture, bool (C, 3).

    4,669 of 6,321 with Pillow 13.0 and matplotlib 3.11.
    """
    _, train, test = render()
    seen = {picture.tobytes() for picture in train.flatten(0, 1).numpy()}
    new = [picture.tobytes() not in seen for picture in test.flatten(0, 1).numpy()]
    return torch.tensor(new, device="cpu").view(test.shape[:2])


def fingerprint() -> str:
    """First 16 hex digits of the SHA-256 of all pixels: what the installed libraries draw."""
    _, train, test = render()
    digest = hashlib.sha256(train.numpy().tobytes() + test.numpy().tobytes())
    return digest.hexdigest()[:16]
