"""Data sets by name, each held in memory as one uint8 tensor (M, C, S, S); `tree.py` has others."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from eqco import glyphs
from eqco.recipe import check_name
from eqco.tree import identity, scan


@dataclass(frozen=True)
class Dataset:
    """Images with labels, a training part and a held-out part.

    Attributes:
        train_images, test_images: uint8, shape (M, C, S, S).
        train_labels, test_labels: int64, shape (M,).
        num_classes: labels are 0 .. num_classes - 1.
        fingerprint: 16 hex digits of the SHA-256 of pixels and labels.
        note: what a reader of a record should know, or "".
    """

    train_images: Tensor
    train_labels: Tensor
    test_images: Tensor
    test_labels: Tensor
    num_classes: int
    fingerprint: str
    note: str = ""

    def to(self, device: str) -> Dataset:
        """The same set on a device."""
        return replace(
            self,
            train_images=self.train_images.to(device),
            train_labels=self.train_labels.to(device),
            test_images=self.test_images.to(device),
            test_labels=self.test_labels.to(device),
        )

    def channel_statistics(self) -> tuple[Tensor, Tensor]:
        """Mean and standard deviation of the training pixels in [0, 1], each of shape (C,)."""
        counts = torch.stack(
            [
                torch.bincount(channel.flatten(), minlength=256)
                for channel in self.train_images.transpose(0, 1)
            ]
        ).double()  # (C, 256)
        level = torch.arange(256, dtype=torch.float64, device=counts.device) / 255
        share = counts / counts.sum(dim=1, keepdim=True)
        mean = (share * level).sum(dim=1)
        var = (share * level**2).sum(dim=1) - mean**2
        return mean.float(), var.sqrt().float()


def glyph_set(part: float) -> Dataset:
    """The embedded set, or the classes of its evenly spaced `part`."""
    _, train, test = glyphs.render()
    count = max(2, round(len(train) * part))
    keep = torch.arange(count) * len(train) // count
    train, test = train[keep], test[keep]
    labels = torch.arange(len(keep))
    drawn = glyphs.fingerprint()
    same = drawn == glyphs.FINGERPRINT
    note = (
        ""
        if same
        else (
            f"glyphs drawn here have fingerprint {drawn}, the committed evidence has "
            f"{glyphs.FINGERPRINT}: another Pillow or matplotlib, so numbers may differ slightly"
        )
    )
    return Dataset(
        train.flatten(0, 1)[:, None],
        labels.repeat_interleave(train.shape[1]),
        test.flatten(0, 1)[:, None],
        labels.repeat_interleave(test.shape[1]),
        len(keep),
        drawn,
        note,
    )


def fingerprint_of(*parts: Tensor) -> str:
    """First 16 hex digits of the SHA-256 of tensors."""
    digest = hashlib.sha256()
    for part in parts:
        digest.update(part.contiguous().numpy().tobytes())
    return digest.hexdigest()[:16]


def cifar10_set(data_dir: Path) -> Dataset:
    """CIFAR-10 through torchvision, downloaded into `data_dir` where it is not there yet."""
    from torchvision.datasets import CIFAR10

    parts: list[Tensor] = []
    for train in (True, False):
        source = CIFAR10(str(data_dir), train=train, download=True)
        parts.append(torch.from_numpy(source.data).permute(0, 3, 1, 2).contiguous())
        parts.append(torch.tensor(source.targets))
    return Dataset(parts[0], parts[1], parts[2], parts[3], 10, fingerprint_of(*parts))


def folder_name(folder: Path) -> str:
    """`folder:NAME-HASH`, the identity of an image tree: its relative paths and file sizes."""
    return f"folder:{identity(folder)}"


def read_image(image: Path, side: int) -> np.ndarray:
    """One image as uint8 (3, side, side): shorter edge resized to `side`, centre cut out."""
    from PIL import Image, ImageOps, UnidentifiedImageError

    try:
        with Image.open(image) as opened:
            picture = opened.convert("RGB")
    except (UnidentifiedImageError, OSError) as error:
        raise ValueError(f"cannot read image {image}: {error}; mend or remove it") from error
    if picture.size != (side, side):
        picture = ImageOps.fit(picture, (side, side), Image.Resampling.BICUBIC)
    return np.asarray(picture).transpose(2, 0, 1)


@cache
def folder_set(folder: Path, side: int = 32) -> Dataset:
    """An image tree `train/CLASS/*`, `val|test/CLASS/*`, resized to 32 pixels."""
    tree = scan(folder)
    paths = tree.train.paths() + tree.held_out.paths()
    pixels = np.empty((len(paths), 3, side, side), dtype=np.uint8)
    for row, image in enumerate(paths):
        pixels[row] = read_image(image, side)
    images, split = torch.from_numpy(pixels), len(tree.train)
    parts = (images[:split], tree.train.labels, images[split:], tree.held_out.labels)
    return Dataset(*parts, tree.num_classes, fingerprint_of(*parts))


def load(name: str, part: float, data_dir: Path) -> Dataset:
    """The data set of a recipe.

    Args:
        name: "glyphs", "cifar10", or "folder:NAME-HASH" as made by `folder_name`.
        part: fraction of the glyph classes to use, in (0, 1].
        data_dir: download folder, or the image tree itself.

    Raises:
        ValueError: the name is unknown, or the folder is missing, empty, unreadable or another.
    """
    if name.startswith("folder:"):
        here = folder_name(data_dir)
        if here != name:
            raise ValueError(f"the recipe wants {name}, but {data_dir} is {here}")
        return folder_set(data_dir)
    check_name("data set", name, ("glyphs", "cifar10", "folder:PATH"))
    return glyph_set(part) if name == "glyphs" else cifar10_set(data_dir)
