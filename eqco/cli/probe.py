"""`eqco probe`: accuracy of a backbone on labelled images, also of foreign weights."""

from __future__ import annotations

import argparse

from eqco.cli.options import Commands, add_json, choose_device, command, path, print_json
from eqco.runtime.cpu import default_threads
from eqco.runtime.validation import Number, argument


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


def probe(given: argparse.Namespace) -> None:
    """Measure and print."""
    import torch

    from eqco.artifacts.pretrained import load_backbone
    from eqco.cli.probing import labelled, measured
    from eqco.config import Machine
    from eqco.evaluation.metrics import METRICS

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
