"""Anybody's images: every image file below a folder, whatever its name, size or subfolder.

No labels are read. Where the folder has a `train/`, the files below it alone are taken, so that a
probe on `val/` or `test/` later sees images that no training saw.
"""

from __future__ import annotations

import hashlib
import os
from functools import cache
from pathlib import Path

import torch

from eqco.data.image_folder import IMAGE_ENDINGS, IS_IMAGE, ImageTree, split_of, tell
from eqco.runtime.entries import LeftOut, files_below

LEAST = 8  # images: a batch of two, four steps in an epoch


def image_names(folder: Path, left_out: LeftOut) -> list[bytes]:
    """Paths of all images below a folder, relative to it, sorted; links to folders are followed.

    Args:
        folder: the folder.
        left_out: what else there is, is added to it.

    Raises:
        ValueError: a folder cannot be listed, or a link leads nowhere.
    """
    names = sorted(
        os.fsencode(os.path.relpath(path, folder))
        for path in files_below(str(folder), IS_IMAGE, left_out)
    )
    left_out.check_links()
    return names


@cache
def scan_loose(root: Path) -> ImageTree:
    """List the images below a folder as one class, with nothing held out.

    Raises:
        ValueError: there is no such folder, it holds fewer than eight images, or a link leads
            nowhere.
    """
    if not root.is_dir():
        what = "is a file" if root.exists() else "does not exist"
        raise ValueError(f"--data {root} {what}: give the path of a folder of images")
    folder = root / "train" if (root / "train").is_dir() else root
    left_out = LeftOut(folder)
    names = image_names(folder, left_out)
    if len(names) < LEAST:
        raise ValueError(
            f"--data {folder} holds {len(names)} image(s), training needs {LEAST}: give a folder "
            f"of {', '.join(sorted(IMAGE_ENDINGS))} files"
        )
    tell(left_out)
    train, none = (
        split_of(folder, some, torch.zeros(len(some), dtype=torch.int64)) for some in (names, [])
    )
    return ImageTree(root, ("",), train, none)


def loose_identity(root: Path) -> str:
    """8 hex digits of the images below a folder: their relative paths and sizes, not its name."""
    split = scan_loose(root).train
    digest = hashlib.sha256()
    for name, path in zip(split.names(), split.paths(), strict=True):
        digest.update(name + b" %d\n" % path.stat().st_size)
    return digest.hexdigest()[:8]
