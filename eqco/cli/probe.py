"""`eqco probe`: accuracy of a backbone on labelled images, also of foreign weights."""

from __future__ import annotations

import argparse
import warnings
from dataclasses import replace
from typing import Any

import torch

from eqco.artifacts.pretrained import PretrainedBackbone, load_backbone
from eqco.cli.options import print_json
from eqco.config import Machine
from eqco.data import Images, in_memory, open_images
from eqco.data.image_folder import ImageTree
from eqco.data.labelled import copies, labelled_tree
from eqco.data.streaming import FromFiles
from eqco.engine.launchers import choose_device
from eqco.evaluation.features import Frozen
from eqco.evaluation.metrics import METRICS, WHOLE, judge
from eqco.recipe import Recipe


def opened(
    loaded: PretrainedBackbone, tree: ImageTree | None, image_size: int | None, machine: Machine
) -> tuple[Images, str]:
    """Images as the backbone takes them, and how their pixels are normalised.

    Without a tree they are the glyphs that it was trained on.

    Raises:
        ValueError: it was not trained on glyphs, or takes other images.
    """
    recipe, size = loaded.recipe, image_size or loaded.image_size
    if tree is None:
        if recipe is None or recipe.data != "glyphs":
            raise ValueError("give --data with images: only encoders of glyphs need none")
        return open_images(recipe, loaded.seed, machine), "glyphs"
    if loaded.channels != 3:
        raise ValueError(
            f"backbone {loaded.name} takes images of {loaded.channels} channel, those of --data "
            "have 3: leave --data out for the glyphs it was trained on"
        )
    if recipe is not None and not recipe.from_files and size == in_memory.SIDE:
        data = in_memory.read_tree(tree)
        whole = replace(recipe, validation=0)  # the tree has a part to judge on
        return in_memory.InMemory(data, whole, loaded.seed, machine), "of the training images"
    if recipe is None or not recipe.from_files:
        recipe = Recipe(
            data="part:any", image_size=size, views="moco-v2", probe="crops", backbone="resnet18"
        )
    return FromFiles(tree, replace(recipe, image_size=size), loaded.seed, machine), "of ImageNet"


def warn_copies(tree: ImageTree) -> int:
    """Warn of held-out files that are training files too; returns how many there are."""
    paths = copies(tree)
    if paths:
        warnings.warn(
            f"{len(paths)} of {len(tree.held_out)} held-out files are training files too, such as "
            f"{paths[0]}: accuracies are too high",
            stacklevel=2,
        )
    return len(paths)


def measured(
    loaded: PretrainedBackbone, images: Images, neighbours: int, device: str
) -> dict[str, Any]:
    """Metrics in percent, counts, and the accuracy of always naming the largest class."""
    frozen = Frozen(loaded.backbone.to(device))
    parts = [frozen.of_batches(images.whole(part)) for part in ("train", "held_out")]
    train, held_out = ((features.cpu(), labels.cpu()) for features, labels in parts)
    recipe = replace(Recipe(), knn_neighbours=neighbours)
    labels = held_out[1]
    return {
        "backbone": loaded.name,
        "classes": images.num_classes,
        "train": len(train[1]),
        "held_out": len(labels),
        "largest_class": 100 * labels.bincount().max().item() / len(labels),
        "metrics": judge(WHOLE, train, held_out, images.num_classes, recipe)[0],
    }


def main(options: argparse.Namespace) -> None:
    """Measure and print."""
    machine = Machine(choose_device(options.device), options.threads, workers=options.workers)
    torch.set_num_threads(options.threads)
    loaded = load_backbone(options.checkpoint, options.backbone)
    tree = labelled_tree(options.data) if options.data else None
    images, pixels = opened(loaded, tree, options.image_size, machine)
    result = measured(loaded, images, options.neighbours, machine.device)
    result["copies"] = warn_copies(tree) if tree else 0
    result["split"] = "by content" if tree and tree.train.folder == tree.root else "as given"
    if options.json:
        print_json({**result, "checkpoint": str(options.checkpoint), "pixels": pixels})
        return
    fifth = ", a fifth of each class, chosen by content" if result["split"] == "by content" else ""
    print(
        f"{options.checkpoint.name}: {result['backbone']}, {result['classes']} classes, "
        f"{result['train']:,} training and {result['held_out']:,} held-out images{fifth}"
    )
    for name, value in result["metrics"].items():
        print(f"  {METRICS[name].title:20s}{value:6.2f} %")
    print(f"  {'largest class':20s}{result['largest_class']:6.2f} %")
