"""`eqco probe`: accuracy of a backbone on labelled images, also of foreign weights."""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from eqco.artifacts.pretrained import PretrainedBackbone, load_backbone
from eqco.cli.options import print_json
from eqco.config import Machine
from eqco.data import Images, in_memory, open_images
from eqco.data.image_folder import scan
from eqco.data.streaming import FromFiles
from eqco.engine.launchers import choose_device
from eqco.evaluation.features import Frozen
from eqco.evaluation.metrics import METRICS, WHOLE, judge
from eqco.recipe import Recipe


def labelled(
    loaded: PretrainedBackbone, data: Path | None, image_size: int | None, machine: Machine
) -> tuple[Images, str]:
    """The labelled images as the backbone takes them, and how their pixels are normalised.

    Raises:
        ValueError: there is no such tree, or the backbone takes other images.
    """
    recipe = loaded.recipe
    if data is None:
        if recipe is None or recipe.data != "glyphs":
            raise ValueError(
                "give --data with a tree of labelled images: train/CLASS/*, val/CLASS/*"
            )
        return open_images(recipe, loaded.seed, machine), "glyphs"
    if loaded.channels != 3:
        raise ValueError(
            f"backbone {loaded.name} takes images of {loaded.channels} channel, those of --data "
            "have 3: leave --data out to probe it on the glyphs it was trained on"
        )
    size = image_size or loaded.image_size
    if recipe is not None and not recipe.from_files and size == 32:
        return in_memory.InMemory(
            in_memory.folder_set(data), recipe, 0, machine
        ), "of the training images"
    known = Recipe(
        data="part:any", image_size=size, views="moco-v2", probe="crops", backbone="resnet18"
    )
    return FromFiles(scan(data), known, 0, machine), "of ImageNet"


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


def main(given: argparse.Namespace) -> None:
    """Measure and print."""
    device = choose_device(given.device)
    machine = Machine(device=device, threads=given.threads, workers=given.workers)
    torch.set_num_threads(given.threads)
    loaded = load_backbone(given.checkpoint, given.backbone)
    images, pixels = labelled(loaded, given.data, given.image_size, machine)
    found = measured(loaded, images, given.neighbours, device)
    if given.json:
        print_json({**found, "checkpoint": str(given.checkpoint), "pixels": pixels})
        return
    print(
        f"{given.checkpoint.name}: {found['backbone']}, {found['classes']} classes, "
        f"{found['train']:,} training and {found['held_out']:,} held-out images"
    )
    for name, value in found["metrics"].items():
        print(f"  {METRICS[name].title:20s}{value:6.2f} %")
    print(f"  {'largest class':20s}{found['largest_class']:6.2f} %")
