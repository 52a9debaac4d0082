"""The options of the tables, declared once for pytest and for `python -m reproductions`."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any

from eqco.engine.launchers import LAUNCHERS
from eqco.recipe import PRECISIONS
from eqco.runtime.cpu import default_threads
from eqco.runtime.validation import check_name, path_argument
from reproductions.experiments.grid import PARTS
from reproductions.experiments.planned import EXPERIMENTS
from reproductions.scales import SCALES

POLICIES = ("missing", "always", "never")
PRECISION = ("auto", *PRECISIONS)


def known_name(kind: str, known: Collection[str]) -> Callable[[str], str]:
    """An argparse type: a known name, else an error with the nearest names.

    `known` is read at each call, so a registry may grow after import.
    """

    def parse(text: str) -> str:
        try:
            check_name(kind, text, known)
        except ValueError as error:
            raise argparse.ArgumentTypeError(str(error)) from error
        return text

    return parse


def whole(least: int = 1) -> Callable[[str], int]:
    """An argparse type: a whole number of at least `least`."""

    def parse(text: str) -> int:
        try:
            value = int(text) if text.isascii() else least - 1
        except ValueError:
            value = least - 1
        if value < least:
            raise argparse.ArgumentTypeError(
                f"must be a whole number of at least {least}, got {text!r}"
            )
        return value

    return parse


def workers(text: str) -> int | None:
    """An argparse type: a number of processes, or None for "auto"."""
    return None if text == "auto" else whole(0)(text)


def folder(text: str) -> Path:
    """An argparse type: the path of a folder; `~` is the home folder."""
    if not text.strip():
        raise argparse.ArgumentTypeError("must be the path of a folder, got ''")
    return path_argument(text)


OPTIONS: dict[str, dict[str, Any]] = {
    "scale": {"default": "glyphs", "type": known_name("scale", SCALES),
              "help": f"one of {', '.join(SCALES)} (default: %(default)s)"},
    "run": {"default": "missing", "type": known_name("--run policy", POLICIES),
            "help": "when to train: missing (default), always or never"},
    "seeds": {"default": 1, "type": whole(),
              "help": "how many seeds, 0 .. N-1 (default: %(default)s)"},
    "data": {"default": "", "help": "folder:PATH, an image tree train/ and val/ or test/; "
             "part:PATH at scale imagenet, where the tree is not the whole of it"},
    "data-dir": {"default": Path("data"), "type": folder,
                 "help": "where downloads go (default: data)"},
    "records": {"default": Path("runs/records"), "type": folder,
                "help": "folder of records (default: runs/records)"},
    "checkpoints": {"default": Path("runs/checkpoints"), "type": folder,
                    "help": "folder of checkpoints (default: runs/checkpoints)"},
    "device": {"default": "auto", "help": "torch device (default: cuda where there is one)"},
    "threads": {"default": default_threads(), "type": whole(),
                "help": "CPU threads of torch (default: OMP_NUM_THREADS, else granted cores)"},
    "workers": {"default": "auto", "type": workers,
                "help": "processes that decode images (default: all cores)"},
    "precision": {"default": "auto", "type": known_name("precision", PRECISION),
                  "help": "auto (default: the scale's own, an error where this CPU emulates it), "
                  "float32 or bfloat16; each has records of its own"},
    "compile": {"action": "store_true", "help": "run encoders through torch.compile"},
    "launcher": {"default": "here", "type": known_name("launcher", LAUNCHERS),
                 "help": "here (default), torchrun or slurm"},
    "processes": {"default": 1, "type": whole(),
                  "help": "processes of a run, one per GPU; with torchrun and slurm"},
    "launcher-options": {"default": "", "help": "torchrun's options, or NAME=VALUE for submitit, "
                         "such as slurm_partition=gpu; cluster=local submits to this machine"},
    "write-jobs": {"action": "store_true",
                   "help": "train nothing, write a job file for each missing run: eqco run FILE"},
    "strict-busy": {"action": "store_true",
                    "help": "fail where another process is doing a run, instead of skipping it"},
    "throughput": {"type": path_argument,
                   "help": "measurement of `python -m reproductions throughput`"},
    "tables": {"type": whole(), "nargs": "+", "help": "numbers of tables (default: all)"},
    "experiment": {"type": known_name("experiment", EXPERIMENTS), "nargs": "+",
                   "help": "the runs of planned experiments instead, at their own scale and seeds: "
                   f"{', '.join(EXPERIMENTS)}"},
    "parts": {"type": known_name("part", PARTS), "nargs": "+",
              "help": f"of {', '.join(PARTS)}, in order (default: {{}})"},
}  # fmt: skip
OTHER_DEST = "eqco_{}"  # where pytest keeps an option whose name another plugin has taken
NOT_OF_PYTEST = ("throughput", "tables", "experiment", "parts")
OF_PYTEST = [name for name in OPTIONS if name not in NOT_OF_PYTEST]


def add_options(add: Callable[..., Any], *names: str, **changes: Any) -> None:
    """Declare options by an `add_argument` of argparse or an `addoption` of pytest.

    Args:
        add: the function.
        names: in OPTIONS.
        changes: settings of argparse that differ here, for all of `names`.
    """
    for name in names:
        add(f"--{name}", **{**OPTIONS[name], **changes})


def add_free_options(add: Callable[..., Any], known: Collection[str]) -> list[str]:
    """Declare the options of pytest; one whose name another plugin has becomes `--eqco-NAME`.

    As pytest-playwright's `--device`: two plugins with one option would end every session.

    Args:
        add: `addoption` of pytest.
        known: options that other plugins have, such as "--device".

    Returns:
        Names that were taken.
    """
    taken = [name for name in OF_PYTEST if f"--{name}" in known]
    for name in OF_PYTEST:
        if name in taken:
            dest = OTHER_DEST.format(name.replace("-", "_"))
            add(f"--eqco-{name}", dest=dest, **OPTIONS[name])
        else:
            add_options(add, name)
    return taken
