"""Image trees: `train/CLASS/*` and `val/CLASS/*` or `test/CLASS/*`. Files are listed, not opened.

Images of a class may also lie in folders below it, at any depth: `train/CLASS/images/*`.
A split of M images is held as a tensor of fixed-width names, so that a million of them cost some
40 MB and worker processes share them.
"""

from __future__ import annotations

import hashlib
import os
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from eqco.runtime.listing import BESIDE, SkippedEntries, ends_in, entries, files_below

IMAGE_ENDINGS = {".jpg", ".jpeg", ".png", ".bmp", ".ppm", ".webp", ".tif", ".tiff"}
IS_IMAGE = ends_in(*IMAGE_ENDINGS)

# ImageNet-1k (ILSVRC 2012): classes, training images, validation images.
IMAGENET = (1000, 1_281_167, 50_000)


@dataclass(frozen=True, eq=False)
class Split:
    """Images of one part of a tree, in order of class and name.

    Attributes:
        folder: `train`, `val` or `test` of the tree.
        padded: paths below `folder`, W bytes each, zeros at the end, shape (M, W), uint8.
        labels: int64, shape (M,).
    """

    folder: Path
    padded: Tensor
    labels: Tensor

    def __len__(self) -> int:
        return len(self.labels)

    def path(self, index: int) -> Path:
        """Path of an image."""
        return self.folder / os.fsdecode(self.padded[index].numpy().tobytes().rstrip(b"\0"))

    def names(self) -> list[bytes]:
        """Paths of all images below `folder`."""
        return self.padded.numpy().view(f"S{self.padded.shape[1]}").ravel().tolist()

    def paths(self) -> list[Path]:
        """Paths of all images."""
        return [self.folder / os.fsdecode(name) for name in self.names()]


def split_of(folder: Path, names: Sequence[bytes], labels: Sequence[int]) -> Split:
    """A split of images, by their paths below its folder."""
    array = np.array(names, dtype=bytes)
    padded = array.view(np.uint8).reshape(len(names), array.itemsize)
    places = torch.tensor(labels, dtype=torch.int64, device="cpu")
    return Split(folder, torch.from_numpy(padded), places)


@dataclass(frozen=True, eq=False)
class ImageTree:
    """A tree of image files; a label is a place in the sorted names of its class folders."""

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
            digest.update(b"\n".join(split.names()) + b"\n\n")
        return digest.hexdigest()[:16]


def check_exists(folder: Path) -> None:
    """Raise ValueError where there is no such folder."""
    if not folder.is_dir():
        what = "is a file" if folder.exists() else "does not exist"
        raise ValueError(f"--data {folder} {what}: give the path of a folder of images")


def folder_splits(folder: Path) -> tuple[Path, Path]:
    """The training and held-out folders of an image tree, or ValueError saying what is missing."""
    check_exists(folder)
    train = folder / "train"
    held_out = [folder / name for name in ("val", "test") if (folder / name).is_dir()]
    if not train.is_dir() or not held_out:
        raise ValueError(
            f"data folder {folder} needs subfolders train/ and val/ or test/, "
            f"it has {sorted(p.name for p in folder.iterdir() if p.is_dir()) or 'none'}"
        )
    return train, held_out[0]


def list_split(folder: Path, classes: tuple[str, ...], skipped: SkippedEntries) -> Split:
    """The images of a split, by class and path; what else there is, is added to `skipped`."""
    names: list[bytes] = []
    labels: list[int] = []
    for label, name in enumerate(classes):
        place = str(folder / name)
        files = files_below(place, IS_IMAGE, skipped) if os.path.isdir(place) else ()
        paths = sorted(f"{name}{file.removeprefix(place)}" for file in files)
        names += [os.fsencode(file.replace(os.sep, "/")) for file in paths]
        labels += [label] * len(paths)
    return split_of(folder, names, labels)


def class_names(folder: Path, skipped: SkippedEntries) -> tuple[str, ...]:
    """Class folders of a split, sorted."""
    classes, files = entries(str(folder), IS_IMAGE, skipped)
    skipped.left_out[BESIDE] += [str(folder / name) for name in files]
    return tuple(classes)


PARTS = {"train", "training", "val", "valid", "validation", "test", "testing"}


def check_no_parts(root: Path, names: Sequence[str]) -> None:
    """Raise ValueError where the folders of a tree are its parts, not named as ours are."""
    if len(names) > 1 and {name.lower() for name in names} <= PARTS:
        raise ValueError(
            f"{root} has the folders {', '.join(names)}, which are parts of a data set and no "
            "classes: name them train and val, or give one of them"
        )


def check_classes(train: Path, held_out: Path, skipped: SkippedEntries) -> tuple[str, ...]:
    """Class names of the training part, sorted.

    Raises:
        ValueError: there are fewer than two, or the held-out part has others.
    """
    classes, held_out_classes = class_names(train, skipped), class_names(held_out, skipped)
    skipped.check_links()
    if len(classes) < 2:
        inner = class_names(train / classes[0], SkippedEntries(train)) if classes else ()
        many = f": {classes[0]}/ has {len(inner)} folders, move them up" if len(inner) > 1 else ""
        raise ValueError(
            f"data folder {train} has {len(classes)} class folder(s), 2 are needed{many}"
        )
    sort = f"sort its images into folders named as those of {train.name}/"
    if held_out_classes and not set(held_out_classes) & set(classes):
        raise ValueError(
            f"{held_out} has {held_out_classes[0]!r} and no folder of a class of {train}: {sort}"
        )
    if new := set(held_out_classes) - set(classes):
        raise ValueError(f"{held_out} has class {min(new)!r}, which {train} has not")
    if not held_out_classes and inside(held_out, skipped):
        raise ValueError(f"{held_out} holds files but no class folders: {sort}")
    return classes


def inside(folder: Path, skipped: SkippedEntries) -> list[str]:
    """What was left out below a folder."""
    start = f"{folder}{os.sep}"
    return [p for paths in skipped.left_out.values() for p in paths if p.startswith(start)]


def no_image(what: str, folder: Path, skipped: SkippedEntries) -> str:
    """The sentence about a folder without an image at any depth, with what it holds instead."""
    other = inside(folder, skipped)
    holds = f"has {len(other)} other file(s) such as {min(other)}" if other else "is empty"
    return (
        f"{what} {folder} holds no image at any depth, it {holds}; images end in "
        f"{', '.join(sorted(IMAGE_ENDINGS))}"
    )


def warn_skipped(skipped: SkippedEntries) -> None:
    """Warn of what was left out, once for a tree and for the processes of a run."""
    sentence = skipped.sentence()
    if sentence and os.environ.get("RANK", "0") == "0":
        warnings.warn(sentence, UserWarning, stacklevel=3)


@cache
def scan(root: Path) -> ImageTree:
    """List an image tree, and warn of what was left out.

    Raises:
        ValueError: a split is missing or empty, its classes are not those of the other, or a link
            leads nowhere.
    """
    train, held_out = folder_splits(root)
    skipped = SkippedEntries(root)
    classes = check_classes(train, held_out, skipped)
    parts = (list_split(folder, classes, skipped) for folder in (train, held_out))
    tree = ImageTree(root, classes, *parts)
    skipped.check_links()
    empty = np.bincount(tree.train.labels.numpy(), minlength=len(classes)) == 0
    if empty.any():
        raise ValueError(no_image("class folder", train / classes[empty.argmax()], skipped))
    if not len(tree.held_out):
        raise ValueError(no_image("data folder", held_out, skipped))
    warn_skipped(skipped)
    return tree


def identity(root: Path) -> str:
    """8 hex digits that name the content of an image tree: relative paths and sizes of its files.

    Where the tree lies and what its folder is called do not count. A file that is added, removed,
    renamed or of another size makes other data, which has records of its own.
    """
    tree = scan(root)
    lines = (
        os.fsencode(path.relative_to(root)) + b" %d" % path.stat().st_size
        for split in (tree.train, tree.held_out)
        for path in split.paths()
    )
    return hashlib.sha256(b"\n".join(lines)).hexdigest()[:8]


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


MIN_IMAGES = 8  # images: a batch of two, four steps in an epoch


@cache
def scan_unlabelled(root: Path, least: int = MIN_IMAGES) -> ImageTree:
    """List the images below a folder as one class, with nothing held out.

    Raises:
        ValueError: there is no such folder, it holds fewer than `least` images or parts of a data
            set, or a link leads nowhere.
    """
    check_exists(root)
    folder = root / "train" if (root / "train").is_dir() else root
    check_no_parts(folder, class_names(folder, SkippedEntries(folder)))
    skipped = SkippedEntries(folder)
    paths = files_below(str(folder), IS_IMAGE, skipped)  # links to folders are followed
    names = sorted(os.fsencode(os.path.relpath(path, folder)) for path in paths)
    skipped.check_links()
    if len(names) < least:
        needs = f"training needs {least}" if least > 1 else "one is needed"
        raise ValueError(
            f"--data {folder} holds {len(names)} image(s), {needs}: give a "
            f"folder of {', '.join(sorted(IMAGE_ENDINGS))} files"
        )
    warn_skipped(skipped)
    train = split_of(folder, names, [0] * len(names))
    return ImageTree(root, ("",), train, split_of(folder, [], []))


def unlabelled_identity(root: Path) -> str:
    """8 hex digits of the images below a folder: their relative paths and sizes, not its name."""
    split = scan_unlabelled(root).train
    digest = hashlib.sha256()
    for name, path in zip(split.names(), split.paths(), strict=True):
        digest.update(name + b" %d\n" % path.stat().st_size)
    return digest.hexdigest()[:8]
