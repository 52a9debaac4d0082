"""The recipe of `eqco train`: settings that fit the number of images, where none are given.

M training images, N images in a batch, K negatives.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from eqco.data import find_source, in_memory
from eqco.data.image_folder import scan_unlabelled
from eqco.losses.registry import LOSSES
from eqco.methods import METHODS
from eqco.recipe import Recipe

LARGEST_BATCH = 256
STEPS = 4  # of an epoch, at least
QUEUE = 4096
GLYPHS = Path("glyphs")  # as --data: the drawn set, where there is no such folder

# Learning rates are of a batch of 256 and grow with the batch.
IN_MEMORY: dict[str, Any] = {
    "views": "photos", "crop_scale": 0.2, "backbone": "small-rgb", "learning_rate": 0.16,
}  # fmt: skip
FROM_FILES: dict[str, Any] = {
    "views": "moco-v2", "crop_scale": 0.2, "backbone": "resnet18", "learning_rate": 0.03,
    "probe": "crops",
}  # fmt: skip


def fitting_batch(images: int) -> int:
    """N that leaves four steps or more in an epoch: a power of two, 2 to 256."""
    return max(2, min(LARGEST_BATCH, 1 << (images // STEPS).bit_length() - 1))


def check_batch(batch_size: int, images: int, data: Path) -> None:
    """Raise ValueError where a batch takes more images than there are."""
    if batch_size > images:
        raise ValueError(
            f"--batch-size {batch_size} is more than the {images} images of {data}: give at most "
            f"{images}, or leave it out for {fitting_batch(images)}"
        )


def check_channels(backbone: str, data: str) -> None:
    """Raise ValueError where a backbone of gray images gets colours, or one of colours glyphs."""
    gray = data == "glyphs"
    if backbone.endswith("-gray") != gray:
        own, others = ("gray", "colours") if gray else ("in colour", "gray ones")
        raise ValueError(f"--backbone {backbone} takes {others}, the images are {own}")


def queue_settings(batch_size: int, images: int) -> dict[str, Any]:
    """MoCo's queue, half of the images at most, and the parts of its batch norm."""
    steps = max(1, min(QUEUE, images // 2) // batch_size)
    parts = next(n for n in (8, 4, 2, 1) if batch_size % n == 0 and batch_size // n >= min(8, n))
    return {"queue_size": steps * batch_size, "bn_splits": parts}


def source_of(data: Path, image_size: int) -> tuple[str, int, dict[str, Any]]:
    """The recipe's `data`, M, and the usual settings of its kind.

    Raises:
        ValueError: the folder does not exist or holds too few images.
    """
    if data == GLYPHS and not data.exists():
        return "glyphs", len(in_memory.glyph_set(1.0).train_images), {}
    from_files = image_size != in_memory.SIDE
    identify = find_source("files:*" if from_files else "images:*").identify
    assert identify
    usual = {**FROM_FILES, "image_size": image_size} if from_files else IN_MEMORY
    return identify(data), len(scan_unlabelled(data).train), usual


def negatives_of(loss: str, method: str, base: Recipe) -> int:
    """The usual K: 16 with a loss that has alpha, else all there are."""
    available = METHODS[method].available(base)
    return min(16, available) if LOSSES[loss].setting == "alpha" else available


def loss_field(loss: str, alpha: float | None) -> dict[str, Any]:
    """The field that a loss needs: alpha as given or 256, others at their usual value."""
    entry = LOSSES[loss]
    fields: dict[str, Any] = {} if alpha is None else {"alpha": alpha}
    return {entry.setting: entry.example, **fields} if entry.setting else fields


def default_recipe(data: Path, image_size: int, settings: Mapping[str, Any]) -> Recipe:
    """The recipe of a training on anybody's images.

    Args:
        data: a folder of images, or `glyphs`.
        image_size: side of the views; 32 holds the images in memory, others read files.
        settings: fields of the recipe, None where they are left open.

    Raises:
        ValueError: a field is wrong, or there are too few images; one sentence with the option.
    """
    chosen = {name: value for name, value in settings.items() if value is not None}
    name, images, usual = source_of(data, image_size)
    batch = int(chosen.setdefault("batch_size", fitting_batch(images)))
    check_batch(batch, images, data)
    method, loss = chosen.pop("method", "simo"), chosen.pop("loss", "eqco")
    start = replace(Recipe(data=name, **usual, num_negatives=1), batch_size=batch)
    start = replace(start, learning_rate=start.learning_rate * batch / LARGEST_BATCH)
    method_fields: dict[str, Any] = {"method": method}
    if method in METHODS:  # replace() below names the nearest of an unknown one
        queue = queue_settings(batch, images)
        method_fields |= METHODS[method].usual
        method_fields |= {n: queue[n] for n in METHODS[method].own_fields if n in queue}
    wanted = chosen.pop("num_negatives", None)
    check_channels(chosen.get("backbone", start.backbone), name)
    fields = {k: v for k, v in chosen.items() if k != "alpha"}
    start = replace(start, **{**method_fields, **fields})
    loss_fields: dict[str, Any] = {}
    if loss in LOSSES:
        loss_fields = loss_field(loss, chosen.get("alpha"))
        wanted = negatives_of(loss, method, start) if wanted is None else wanted
    return replace(start, loss=loss, num_negatives=wanted or 1, **loss_fields)
