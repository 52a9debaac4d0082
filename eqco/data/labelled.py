"""Labelled images of a probe: a tree of both parts, or class folders that are split by content."""

from __future__ import annotations

import hashlib
from pathlib import Path

import torch

from eqco.data.image_folder import (
    ImageTree,
    Split,
    check_no_parts,
    class_names,
    list_split,
    scan,
    warn_skipped,
)
from eqco.runtime.listing import SkippedEntries

SHARE = 5  # one image of so many is held out


def labelled_tree(root: Path) -> ImageTree:
    """The tree `train/CLASS/*` and `val/CLASS/*` or `test/CLASS/*`, or `CLASS/*` split by content.

    Raises:
        ValueError: see `scan` and `split_by_content`.
    """
    if root.is_dir() and not any((root / part).is_dir() for part in ("train", "val", "test")):
        return split_by_content(root)
    return scan(root)  # also where it says what is missing


def content_hash(file: Path) -> str:
    """SHA-256 of a file."""
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def split_by_content(root: Path) -> ImageTree:
    """Class folders as a tree: a fifth of each class is held out, one image at least.

    It is the fifth with the smallest SHA-256: the choice does not depend on names or order, and
    copies of a file are on one side.

    Raises:
        ValueError: there are fewer than two classes, or a class has fewer than two images.
    """
    skipped = SkippedEntries(root)
    classes = class_names(root, skipped)
    check_no_parts(root, classes)
    whole = list_split(root, classes, skipped)
    skipped.check_links()
    if len(classes) < 2:
        raise ValueError(
            f"data folder {root} has {len(classes)} class folder(s), 2 are needed: CLASS/*, or "
            "train/CLASS/* and val/CLASS/*"
        )
    warn_skipped(skipped)
    labels, hashes = whole.labels.tolist(), [content_hash(path) for path in whole.paths()]
    held_out: set[str] = set()
    for label, name in enumerate(classes):
        pairs = zip(hashes, labels, strict=True)
        distinct = sorted({content for content, other in pairs if other == label})
        if len(distinct) < 2:
            raise ValueError(
                f"class folder {root / name} has {len(distinct)} image(s), 2 are needed"
            )
        held_out.update(distinct[: max(1, len(distinct) // SHARE)])
    out = torch.tensor([content in held_out for content in hashes], device="cpu")
    parts = (Split(root, whole.padded[rows], whole.labels[rows]) for rows in (~out, out))
    return ImageTree(root, classes, *parts)


def copies(tree: ImageTree) -> list[Path]:
    """Held-out files that are training files too, by their content; only equal sizes are read."""
    train, held_out = (
        [(path, path.stat().st_size) for path in part.paths()]
        for part in (tree.train, tree.held_out)
    )
    sizes = {size for _, size in train} & {size for _, size in held_out}
    known = {content_hash(path) for path, size in train if size in sizes}
    return [path for path, size in held_out if size in sizes and content_hash(path) in known]
