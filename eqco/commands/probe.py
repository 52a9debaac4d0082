"""`eqco probe`: accuracy of a backbone on labelled images, also of foreign weights."""

from __future__ import annotations

import argparse
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from eqco.checks import Number, argument
from eqco.commands.options import Commands, add_json, choose_device, command, path, print_json
from eqco.cores import default_threads

if TYPE_CHECKING:
    from eqco.foreign import Loaded
    from eqco.images import Images
    from eqco.settings import Machine


def add(commands: Commands) -> None:
    """Declare the command."""
    text = "measure a backbone on labelled images: linear probe, kNN, nearest class mean"
    example = (
        "eqco probe runs/checkpoints/NAME.pt --data PATH\n  eqco probe resnet50.pth --data PATH"
    )
    made = command(commands, "probe", text, example, probe)
    made.add_argument(
        "checkpoint", type=path, help="of a run, or a ResNet's weights with torchvision's names"
    )
    made.add_argument(
        "--data", type=path, help="tree train/CLASS/* and val/CLASS/* or test/CLASS/* "
        "(default: the drawn glyphs, for encoders of glyphs)",
    )  # fmt: skip
    made.add_argument("--backbone", help="name of foreign weights' backbone (default: recognised)")
    size = argument(Number(8, 2**14, whole=True))
    made.add_argument("--image-size", type=size, help="side of the images (default: the encoder's)")
    count = argument(Number(1, 2**31, whole=True))
    made.add_argument("--neighbours", type=count, default=20, help="of kNN")
    made.add_argument(
        "--device", default="auto", help="torch device; auto is a GPU if there is one"
    )
    made.add_argument("--threads", type=count, default=default_threads(), help="of torch")
    workers = argument(Number(0, 1024, whole=True))
    made.add_argument("--workers", type=workers, default=0, help="processes that decode images")
    add_json(made)


def labelled(loaded: Loaded, given: argparse.Namespace, machine: Machine) -> tuple[Images, str]:
    """The labelled images as the backbone takes them, and how their pixels are normalised.

    Raises:
        ValueError: there is no such tree, or the backbone takes other images.
    """
    from eqco.images import memory, open_images
    from eqco.images.files import FromFiles
    from eqco.images.tree import scan
    from eqco.recipe import Recipe

    recipe = loaded.recipe
    if given.data is None:
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
    size = given.image_size or loaded.image_size
    if recipe is not None and not recipe.from_files and size == 32:
        data = memory.folder_set(given.data)
        return memory.InMemory(data, recipe, 0, machine), "of the training images"
    known = Recipe(
        data="part:any", image_size=size, views="moco-v2", probe="crops", backbone="resnet18"
    )
    return FromFiles(scan(given.data), known, 0, machine), "of ImageNet"


def measured(loaded: Loaded, images: Images, neighbours: int, device: str) -> dict[str, Any]:
    """Metrics in percent, counts, and the accuracy of always naming the largest class."""
    import torch

    from eqco.probes.frozen import Frozen
    from eqco.probes.metrics import METRICS
    from eqco.recipe import Recipe

    frozen, parts = Frozen(loaded.backbone.to(device)), []
    for part in ("train", "held_out"):
        found = [(frozen.features(i.to(device)), right) for i, right in images.whole(part)]
        features, labels = zip(*found, strict=True)
        parts.append((torch.cat(features).cpu(), torch.cat(labels).cpu()))
    recipe = replace(Recipe(), knn_neighbours=neighbours)
    held_out = parts[1][1]
    return {
        "backbone": loaded.name,
        "classes": images.num_classes,
        "train": len(parts[0][1]),
        "held_out": len(held_out),
        "largest_class": 100 * held_out.bincount().max().item() / len(held_out),
        "metrics": {
            name: metric.function(parts[0], parts[1], images.num_classes, recipe)
            for name, metric in METRICS.items()
            if not metric.perturbed
        },
    }


def probe(given: argparse.Namespace) -> None:
    """Measure and print."""
    import torch

    from eqco.foreign import load_backbone
    from eqco.probes.metrics import METRICS
    from eqco.settings import Machine

    device = choose_device(given.device)
    machine = Machine(device=device, threads=given.threads, workers=given.workers)
    torch.set_num_threads(given.threads)
    loaded = load_backbone(given.checkpoint, given.backbone)
    images, pixels = labelled(loaded, given, machine)
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
