"""A tree of small JPEG files, as different from each other as ImageNet's, and recipes for it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
from PIL import Image

from eqco.data.image_folder import identity
from eqco.recipe import Recipe
from reproductions.scales import SCALES

CLASSES = ("n01", "n02", "n03", "n04")


def write_tree(folder: Path, each: int = 5, held_out: int = 2) -> Path:
    """`train/` with `each` and `val/` with `held_out` JPEG files a class; returns the folder.

    Sizes differ; a class has a colour; one image is gray, one is CMYK, one is a PNG by content.
    """
    draw = np.random.default_rng(0)
    for split, count in (("train", each), ("val", held_out)):
        for label, name in enumerate(CLASSES):
            home = folder / split / name
            home.mkdir(parents=True)
            for place in range(count):
                height, width = (int(side) for side in draw.integers(40, 90, size=2))
                pixels = draw.integers(0, 60, size=(height, width, 3))
                pixels[..., label % 3] += 60 * (1 + label // 3)
                picture = Image.fromarray(pixels.astype(np.uint8))
                mode = {0: "L", 1: "CMYK"}.get(place if label == 0 else -1, "RGB")
                kind = "PNG" if (label, place) == (1, 0) else "JPEG"
                picture.convert(mode).save(home / f"{place}.JPEG", kind)
    return folder


def write_flat(folder: Path, count: int) -> Path:
    """Odd-sized JPEG files in one folder, some gray."""
    draw = np.random.default_rng(0)
    folder.mkdir()
    for place in range(count):
        height, width = (int(side) for side in draw.integers(9, 120, size=2))
        pixels = draw.integers(0, 255, size=(4, 4, 3)).astype(np.uint8)
        picture = Image.fromarray(pixels).resize((width, height))
        picture.convert("L" if place % 7 == 0 else "RGB").save(folder / f"photo {place}.jpg")
    return folder


def write_names(folder: Path, *names: str) -> Path:
    """Files of one byte, which are listed and not opened; returns the folder."""
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")
    return folder


def files_recipe(root: Path, method: str = "simo") -> Recipe:
    """The recipe of scale imagenet cut down to batches of 8 small images of a tree, one epoch."""
    moco = method == "moco"
    return replace(
        SCALES["imagenet"].baseline(method),
        data=f"part:{identity(root)}",
        backbone="resnet18",
        image_size=32,
        batch_size=8,
        num_negatives=16 if moco else 7,
        queue_size=40 if moco else 0,
        bn_splits=2 if moco else 1,
        epochs=1,
        warmup_epochs=0.0,
        probe_epochs=1,
        knn_neighbours=3,
    )


def probe_recipe(root: Path) -> Recipe:
    """The same with nine short epochs of the probe, in float32."""
    short = {"precision": "float32", "probe_epochs": 9, "probe_learning_rate": 1.0}
    return replace(files_recipe(root), **short)
