"""The commands of `eqco` and their options, as data. No torch is loaded."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from eqco.runtime.cpu import default_threads
from eqco.runtime.validation import Number, argument, path_argument, whole


def option(kind: Callable[[str], Any], text: str, **settings: Any) -> dict[str, Any]:
    """Settings of argparse: type, help, and others."""
    return {"type": kind, "help": text, **settings}


def switch(text: str) -> dict[str, Any]:
    """Settings of argparse for an option without a value."""
    return {"action": "store_true", "help": text}


path = path_argument
positive, side = argument(Number(1e-6, 1e12)), whole(8, 2**14)
# Options of several commands; those of the tables have some of them too.
DEVICE = option(str, "torch device (default: cuda where there is one)", default="auto")
THREADS = option(
    whole(1, 1024),
    "CPU threads of torch (default: OMP_NUM_THREADS, else granted cores)",
    default=default_threads(),
)
COMPILE = switch("run encoders through torch.compile")
JSON = switch("one JSON value on stdout, for programs")


@dataclass(frozen=True)
class Command:
    """A command; the module of its name has `main`, which takes the parsed options.

    Attributes:
        text: what it does, in a line.
        example: command lines.
        options: settings of argparse, by name; a name without dashes is positional.
        json: whether it has --json too.
        resumes: whether the same command continues what was stopped.
    """

    text: str
    example: str
    options: dict[str, dict[str, Any]]
    json: bool = True
    resumes: bool = False


COMMANDS = {
    "train": Command(
        "train an encoder on your images; the same command continues a stopped run",
        "eqco train --data PATH\n  eqco train --data PATH --image-size 224 --backbone resnet50",
        {
            "--data": option(path, "folder of images, with or without subfolders; train/ alone "
                             "where it has one; glyphs for a drawn set", required=True),
            "--method": option(str, "simo, moco, simclr or synco (default: simo)"),
            "--loss": option(str, "eqco, infonce, dcl or another of eqco.losses.registry "
                             "(default: eqco)"),
            "--backbone": option(str, "small-rgb, resnet18, resnet50 or another (default: "
                                 "small-rgb at 32 pixels, else resnet18)"),
            "--precision": option(str, "float32 or bfloat16 (default: float32)"),
            "--batch-size": option(whole(2, 2**31), "images a step (default: 256, fewer for a "
                                   "small set: four steps an epoch)"),
            "--epochs": option(whole(1, 10**6), "passes over the images", default=100),
            "--learning-rate": option(argument(Number(0, 1e6, open_low=True)), "peak rate of SGD "
                                      "(default: 0.16, from files 0.03, times batch / 256)"),
            "--num-negatives": option(whole(1, 2**31), "K of each query (default: 16 with alpha, "
                                      "else all there are)"),
            "--alpha": option(positive, "EqCo's effective number of negatives (default: 256)"),
            "--temperature": option(argument(Number(1e-4, 1e6)), "of the softmax (default: 0.2)"),
            "--queue-size": option(whole(1, 2**31), "keys of moco's and synco's queue (default: "
                                   "4096, at most half of the images)"),
            "--image-size": option(side, "side of the views; 32 holds all images in memory, others "
                                   "read files all the time", default=32),
            "--seed": option(whole(0), "of the run", default=0),
            "--records": option(path, "folder of the record", default=Path("runs/records/own")),
            "--checkpoints": option(path, "folder of checkpoints",
                                    default=Path("runs/checkpoints")),
            "--device": DEVICE,
            "--threads": THREADS,
            "--workers": option(whole(0, 1024), "processes that decode images (default: the "
                                "granted cores; 0 at 32 pixels)"),
            "--compile": COMPILE,
            "--again": switch("start anew where it was done before"),
        },
        resumes=True,
    ),
    "probe": Command(
        "measure a backbone on labelled images: linear probe, kNN, nearest class mean",
        "eqco probe runs/checkpoints/NAME.pt --data PATH\n  eqco probe resnet50.pth --data PATH",
        {
            "checkpoint": option(path, "of a run, or a ResNet's weights with torchvision's names"),
            "--data": option(path, "tree train/CLASS/* and val/CLASS/* or test/CLASS/*; CLASS/* "
                             "alone is split (default: the drawn glyphs, for encoders of glyphs)"),
            "--backbone": option(str, "name of foreign weights' backbone (default: recognised)"),
            "--image-size": option(side, "side of the images (default: the encoder's)"),
            "--neighbours": option(whole(1, 2**31), "of kNN", default=20),
            "--device": DEVICE,
            "--threads": THREADS,
            "--workers": option(whole(0, 1024), "processes that decode images", default=0),
        },
    ),
    "diagnose": Command(
        "tell how small K may be for a trained encoder, or for embeddings",
        "eqco diagnose runs/checkpoints/NAME.pt --data PATH\n  eqco diagnose pairs.npy",
        {
            "checkpoint": option(path, "of a run; or .npy, .npz or .pt with embeddings: shape "
                                 "(2, N, D) of queries and keys, (N, D), or entries query and key"),
            "--record": option(path, "its record, for older checkpoints"),
            "--data": option(path, "images of the encoder, or download folder"),
            "--alpha": option(positive, "effective negatives", default=256.0),
            "--temperature": option(positive, "of embeddings (default: 0.2, or the encoder's own)"),
            "--images": option(whole(3), "queries and keys", default=2048),
            "--negatives": option(whole(), "K; larger ones than there are images are cut (default: "
                                  "4 16 64 255)", nargs="+", default=[4, 16, 64, 255]),
            "--tolerance": option(positive, "loss gap, nats", default=0.05),
        },
    ),
    "embed": Command(
        "write embeddings of two views, or features, as an array; draw nearest neighbours",
        "eqco embed runs/checkpoints/NAME.pt --data PATH --out pairs.npy\n"
        "  eqco embed resnet50.pth --data PATH --features --out features.npy --picture near.png",
        {
            "checkpoint": option(path, "of a run; with --features or --picture alone also a "
                                 "ResNet's weights with torchvision's names"),
            "--data": option(path, "folder of images; train/ alone where it has one (default: the "
                             "drawn glyphs, for encoders of glyphs)"),
            "--out": option(path, "file.npy: shape (2, N, D), which eqco diagnose reads"),
            "--features": switch("shape (N, F) instead, the backbone's features of whole images, "
                                 "with the names of their files in file.names.txt"),
            "--picture": option(path, "file.png: a few images, each with its nearest neighbours"),
            "--images": option(whole(3), "queries and keys; features are of all images",
                               default=2048),
            "--image-size": option(side, "side of the images (default: the encoder's)"),
            "--device": DEVICE,
            "--threads": THREADS,
            "--workers": option(whole(0, 1024), "processes that decode images", default=0),
        },
    ),
    "export": Command(
        "write a backbone for other people's code, and say how it loads",
        "eqco export runs/checkpoints/NAME.pt b.pt",
        {
            "checkpoint": option(path, "of a run"),
            "out": option(path, "file to write"),
            "--to": option(str, "parameter names: torchvision, timm, moco or own (default: "
                           "torchvision where the backbone is one of its, else own)"),
        },
    ),
    "show": Command(
        "show one record in words, or list several",
        "eqco show runs/records/own/NAME.json\n  eqco show reproductions/records/glyphs.jsonl RUN",
        {
            "record": option(path, "file of a record or of several, or a folder"),
            "run": option(str, "the run to show of several", nargs="?", default=""),
        },
    ),
    "ls": Command(
        "list the records and checkpoints below a folder",
        "eqco ls runs --json",
        {
            "folder": option(path, "(default: runs)", nargs="?", default=Path("runs")),
        },
    ),
    "redo": Command(
        "make a recorded run again and compare every number",
        "eqco redo RUN",
        {
            "record": option(str, "file of a record, or the name of a run in --records"),
            "--records": option(path, "folder of records, where a name is given",
                                default=Path("reproductions/records")),
            "--data": option(path, "folder of its images", default=Path("data")),
            "--device": option(str, "torch device (default: as the record)", default="auto"),
            "--out": option(path, "folder of the run while it is not done",
                            default=Path("runs/redo")),
        },
        resumes=True,
    ),
    "doctor": Command(
        "tell what this machine has, and which scales it runs in how many minutes",
        "eqco doctor --seconds 0",
        {
            "--seconds": option(argument(Number(0, 3600)), "of the measurement of training, all "
                                "scales together; 0 measures nothing", default=10.0),
            "--data": option(path, "folder to look for data in", default=Path("data")),
            "--threads": THREADS,
        },
    ),
    "run": Command(
        "do one run from its job file, also behind torchrun",
        "eqco run runs/checkpoints/NAME.job.json",
        {"order": option(path, "job file, written beside the checkpoints")},
        json=False,
        resumes=True,
    ),
}  # fmt: skip


class Help(argparse.RawDescriptionHelpFormatter):
    """Shows the default of each option that has one, and examples as they are written."""

    def _get_help_string(self, action: argparse.Action) -> str:
        text = action.help or ""
        hidden = (None, False, argparse.SUPPRESS)
        shows = "default" in text or any(action.default is value for value in hidden)
        return text if shows or not action.option_strings else f"{text} (default: %(default)s)"


def print_json(value: object) -> None:
    """Print a value for programs."""
    print(json.dumps(value, indent=1, sort_keys=True))
