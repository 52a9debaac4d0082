"""`eqco train`: an encoder of anybody's images."""

from __future__ import annotations

import argparse

from eqco.cli.options import CHECKPOINTS, RECORDS, Commands, add_json, command, path
from eqco.runtime.cpu import default_threads
from eqco.runtime.validation import Number, argument

# Options that are fields of a recipe, with what their defaults follow.
FIELDS = {
    "method": "simo, moco, simclr or synco (default: simo)",
    "loss": "eqco, infonce, dcl or another of eqco.losses.functional (default: eqco)",
    "backbone": "small-rgb, resnet18, resnet50 or another (default: small-rgb at 32 pixels, else "
    "resnet18)",
    "precision": "float32 or bfloat16 (default: float32)",
}
NUMBERS = {
    "batch-size": (Number(2, 2**31, whole=True), "images a step (default: 256, fewer for a small "
                   "set: four steps an epoch)"),
    "epochs": (Number(1, 10**6, whole=True), "passes over the images (default: 100)"),
    "learning-rate": (Number(0, 1e6, open_low=True), "peak rate of SGD (default: 0.16, from files "
                      "0.03, times batch / 256)"),
    "num-negatives": (Number(1, 2**31, whole=True), "K of each query (default: 16 with alpha, else "
                      "all there are)"),
    "alpha": (Number(1e-6, 1e12), "EqCo's effective number of negatives (default: 256)"),
    "temperature": (Number(1e-4, 1e6), "of the softmax (default: 0.2)"),
    "queue-size": (Number(1, 2**31, whole=True), "keys of moco's and synco's queue (default: 4096, "
                   "at most half of the images)"),
}  # fmt: skip


def add(commands: Commands) -> None:
    """Declare the command."""
    text = "train an encoder on your images; the same command continues a stopped run"
    example = (
        "eqco train --data PATH\n  eqco train --data PATH --image-size 224 --backbone resnet50"
    )
    made = command(commands, "train", text, example, train)
    made.set_defaults(resumes=True)
    made.add_argument(
        "--data", type=path, required=True, help="folder of images, with or without subfolders; "
        "train/ alone where it has one; glyphs for a drawn set",
    )  # fmt: skip
    for name, words in FIELDS.items():
        made.add_argument(f"--{name}", help=words)
    for name, (number, words) in NUMBERS.items():
        made.add_argument(f"--{name}", type=argument(number), help=words)
    made.add_argument(
        "--image-size", type=argument(Number(8, 2**14, whole=True)), default=32,
        help="side of the views; 32 holds all images in memory, others read files all the time",
    )  # fmt: skip
    made.add_argument("--seed", type=argument(Number(0, whole=True)), default=0, help="of the run")
    made.add_argument("--records", type=path, default=RECORDS, help="folder of the record")
    made.add_argument("--checkpoints", type=path, default=CHECKPOINTS, help="folder of checkpoints")
    made.add_argument(
        "--device", default="auto", help="torch device; auto is a GPU if there is one"
    )
    count = argument(Number(1, 1024, whole=True))
    made.add_argument("--threads", type=count, default=default_threads(), help="of torch")
    made.add_argument(
        "--workers", type=argument(Number(0, 1024, whole=True)),
        help="processes that decode images (default: the granted cores; 0 at 32 pixels)",
    )  # fmt: skip
    made.add_argument("--compile", action="store_true", help="run encoders by torch.compile")
    made.add_argument("--again", action="store_true", help="start anew where it was done before")
    add_json(made)


def train(given: argparse.Namespace) -> None:
    """Train, or continue, and say where the result lies."""
    from eqco.cli.training import train_here

    train_here(given, [*FIELDS, *NUMBERS])
