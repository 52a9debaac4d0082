"""The recipe of `eqco train`: settings that fit the number of images, where none are given.

M training images, N images in a batch, K negatives.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from eqco.config import Settings
from eqco.data import in_memory
from eqco.data.image_folder import scan_unlabelled, unlabelled_identity
from eqco.losses.registry import LOSSES
from eqco.methods import METHODS
from eqco.recipe import Recipe
from eqco.runtime.validation import check_name

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
    kind, usual = "images", IN_MEMORY
    if image_size != in_memory.SIDE:
        kind, usual = "files", {**FROM_FILES, "image_size": image_size}
    return f"{kind}:{unlabelled_identity(data)}", len(scan_unlabelled(data).train), usual


def default_recipe(data: Path, image_size: int, settings: Mapping[str, Any]) -> Recipe:
    """The recipe of a training on anybody's images.

    Args:
        data: a folder of images, or `glyphs`.
        image_size: side of the views; 32 holds the images in memory, others read files.
        settings: fields of the recipe, None where they are left open.

    Raises:
        ValueError: a field is wrong, or there are too few images; one sentence with the option.
    """
    given = {name: value for name, value in settings.items() if value is not None}
    chosen: dict[str, Any] = {"method": "simo", "loss": "eqco", **given}
    for field, known in (("method", METHODS), ("loss", LOSSES)):
        check_name(field, chosen[field], known)
    method, loss = METHODS[chosen["method"]], LOSSES[chosen["loss"]]
    name, images, usual = source_of(data, image_size)
    batch = int(chosen.setdefault("batch_size", fitting_batch(images)))
    check_batch(batch, images, data)
    rate = usual.get("learning_rate", Recipe.learning_rate) * batch / LARGEST_BATCH
    queue = queue_settings(batch, images)
    queue = {field: queue[field] for field in method.own_fields if field in queue}
    setting = {loss.setting: loss.example} if loss.setting else {}
    usual = {**usual, "learning_rate": rate, **method.usual, **queue, **setting}
    start = Settings(data=name, **{**usual, **chosen})
    check_channels(start.backbone, name)
    if "num_negatives" not in chosen:
        available = method.available(start)
        chosen["num_negatives"] = min(16, available) if loss.setting == "alpha" else available
    return Recipe(data=name, **{**usual, **chosen})
