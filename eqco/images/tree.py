"""Image trees: `train/CLASS/*` and `val/CLASS/*` or `test/CLASS/*`. Files are listed, not opened.

A split of M images is held as fixed-width names, so that a million of them cost some 40 MB and
worker processes share them.
"""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

IMAGE_ENDINGS = {".jpg", ".jpeg", ".png", ".bmp", ".ppm", ".webp", ".tif", ".tiff"}

# ImageNet-1k (ILSVRC 2012): classes, training images, validation images.
IMAGENET = (1000, 1_281_167, 50_000)


@dataclass(frozen=True, eq=False)
class Split:
    """Images of one part of a tree, in order of class and name.

    Attributes:
        folder: `train`, `val` or `test` of the tree.
        names: paths below `folder`, bytes, shape (M,).
        labels: int64, shape (M,).
    """

    folder: Path
    names: np.ndarray
    labels: Tensor

    def __len__(self) -> int:
        return len(self.names)

    def path(self, index: int) -> Path:
        """Path of an image."""
        return self.folder / os.fsdecode(bytes(self.names[index]))

    def paths(self) -> list[Path]:
        """Paths of all images."""
        return [self.path(index) for index in range(len(self))]


@dataclass(frozen=True, eq=False)
class ImageTree:
    """A tree of image files.

    Attributes:
        root: its folder.
        classes: names of the class folders, sorted; a label is a place in them.
        train, held_out: its parts.
    """

    root: Path
    classes: tuple[str, ...]
    train: Split
    held_out: Split

    @property
    def num_classes(self) -> int:
        """Labels are 0 .. num_classes - 1."""
        return len(self.classes)

    @property
    def counts(self) -> tuple[int, int, int]:
        """Classes, training images, held-out images."""
        return len(self.classes), len(self.train), len(self.held_out)

    @property
    def fingerprint(self) -> str:
        """16 hex digits of the SHA-256 of all names, in order; no image is opened for it."""
        digest = hashlib.sha256()
        for split in (self.train, self.held_out):
            digest.update(b"\n".join(split.names.tolist()) + b"\n\n")
        return digest.hexdigest()[:16]


def folder_splits(folder: Path) -> tuple[Path, Path]:
    """The training and held-out folders of an image tree, or ValueError saying what is missing."""
    if not folder.is_dir():
        raise ValueError(f"data folder {folder} does not exist: give --data folder:PATH")
    train = folder / "train"
    held_out = [folder / name for name in ("val", "test") if (folder / name).is_dir()]
    if not train.is_dir() or not held_out:
        raise ValueError(
            f"data folder {folder} needs subfolders train/ and val/ or test/, "
            f"it has {sorted(p.name for p in folder.iterdir() if p.is_dir()) or 'none'}"
        )
    return train, held_out[0]


def list_split(folder: Path, classes: tuple[str, ...]) -> Split:
    """The images of a split, by class and name; other files are left out."""
    names: list[bytes] = []
    counts = []
    for name in classes:
        found: list[str] = []
        if (folder / name).is_dir():
            with os.scandir(folder / name) as entries:
                found = [e.name for e in entries if Path(e.name).suffix.lower() in IMAGE_ENDINGS]
        names += [os.fsencode(f"{name}/{image}") for image in sorted(found)]
        counts.append(len(found))
    labels = torch.arange(len(classes)).repeat_interleave(torch.tensor(counts))
    return Split(folder, np.array(names, dtype=bytes), labels)


@cache
def scan(root: Path) -> ImageTree:
    """List an image tree.

    Raises:
        ValueError: a split is missing or empty, or its classes are not those of the other.
    """
    train, held_out = folder_splits(root)
    classes = tuple(sorted(p.name for p in train.iterdir() if p.is_dir()))
    if len(classes) < 2:
        raise ValueError(f"data folder {train} has {len(classes)} class folder(s), 2 are needed")
    own = {p.name for p in held_out.iterdir() if p.is_dir()}
    if own - set(classes):
        raise ValueError(f"{held_out} has class {min(own - set(classes))!r}, which {train} has not")
    if not own and any(held_out.iterdir()):
        raise ValueError(
            f"{held_out} holds files but no class folders: sort its images into folders named as "
            f"those of {train.name}/"
        )
    tree = ImageTree(root, classes, list_split(train, classes), list_split(held_out, classes))
    empty = np.bincount(tree.train.labels.numpy(), minlength=len(classes)) == 0
    if empty.any():
        raise ValueError(f"class folder {train / classes[empty.argmax()]} holds no image")
    if not len(tree.held_out):
        raise ValueError(f"data folder {held_out} holds no image")
    return tree


def identity(root: Path) -> str:
    """8 hex digits that name the content of an image tree: relative paths and sizes of its files.

    Where the tree lies and what its folder is called do not count. A file that is added, removed,
    renamed or of another size makes other data, which has records of its own.
    """
    tree = scan(root)
    lines = (
        f"{path.relative_to(root)} {path.stat().st_size}"
        for split in (tree.train, tree.held_out)
        for path in split.paths()
    )
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:8]


def same_content(one: str, other: str) -> bool:
    """Whether two names of data are of one content: "part:HASH", or early "part:NAME-HASH"."""
    kinds = {name.partition(":")[0] for name in (one, other)}
    return (
        len(kinds) == 1 and len({name.split(":")[-1].split("-")[-1] for name in (one, other)}) == 1
    )


def imagenet_name(root: Path) -> str:
    """The name "imagenet", where the tree is ImageNet-1k by its counts.

    Raises:
        ValueError: it is not; the message says what was found and how to go on with a part.
    """
    counts = scan(root).counts
    if counts != IMAGENET:
        raise ValueError(
            "{} has {:,} classes, {:,} training and {:,} held-out images; ImageNet-1k has {:,}, "
            "{:,} and {:,}: complete it, or go on with what is there by --data part:{}, whose "
            "records are kept apart".format(root, *counts, *IMAGENET, root)
        )
    return "imagenet"
