"""Anybody's images: every image file below a folder, whatever its name, size or subfolder.

No labels are read. Where the folder has a `train/`, the files below it alone are taken, so that a
probe on `val/` or `test/` later sees images that no training saw.
"""

from __future__ import annotations

import hashlib
import os
from functools import cache
from pathlib import Path

import numpy as np
import torch

from eqco.images.tree import IMAGE_ENDINGS, ImageTree, Split

LEAST = 8  # images: a batch of two, four steps in an epoch


def image_names(folder: Path) -> list[bytes]:
    """Paths of all images below a folder, relative to it, sorted; hidden folders are left out."""
    names = []
    for where, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".")]
        names += [
            os.fsencode(os.path.relpath(os.path.join(where, name), folder))
            for name in files
            if Path(name).suffix.lower() in IMAGE_ENDINGS and not name.startswith(".")
        ]
    return sorted(names)


@cache
def scan_loose(root: Path) -> ImageTree:
    """List the images below a folder as one class, with nothing held out.

    Raises:
        ValueError: there is no such folder, or it holds fewer than eight images.
    """
    if not root.is_dir():
        what = "is a file" if root.exists() else "does not exist"
        raise ValueError(f"--data {root} {what}: give the path of a folder of images")
    folder = root / "train" if (root / "train").is_dir() else root
    names = image_names(folder)
    if len(names) < LEAST:
        raise ValueError(
            f"--data {folder} holds {len(names)} image(s), training needs {LEAST}: give a folder "
            f"of {', '.join(sorted(IMAGE_ENDINGS))} files"
        )
    nothing = torch.zeros(0, dtype=torch.int64)
    train = Split(folder, np.array(names, dtype=bytes), torch.zeros(len(names), dtype=torch.int64))
    return ImageTree(root, ("",), train, Split(folder, np.array([], dtype=bytes), nothing))


def loose_identity(root: Path) -> str:
    """8 hex digits of the images below a folder: their relative paths and sizes, not its name."""
    split = scan_loose(root).train
    digest = hashlib.sha256()
    for name, path in zip(split.names.tolist(), split.paths(), strict=True):
        digest.update(name + b" %d\n" % path.stat().st_size)
    return digest.hexdigest()[:8]
