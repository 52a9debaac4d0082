"""What the commands share: help with defaults and examples, paths, JSON. No torch is loaded."""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from eqco.runtime.validation import path_argument

path = path_argument
RECORDS = Path("runs/records/own")
CHECKPOINTS = Path("runs/checkpoints")
Commands = Any  # argparse's object of sub-parsers, whose class is private


class Help(argparse.RawDescriptionHelpFormatter):
    """Shows the default of each option that has one, and examples as they are written."""

    def _get_help_string(self, action: argparse.Action) -> str:
        text = action.help or ""
        hidden = (None, False, argparse.SUPPRESS)
        shows = "default" in text or any(action.default is each for each in hidden)
        return text if shows or not action.option_strings else f"{text} (default: %(default)s)"


def command(
    commands: Commands, name: str, text: str, example: str, function: Callable[..., object]
) -> argparse.ArgumentParser:
    """A command of one line of help and an example; `function` takes the parsed options."""
    made: argparse.ArgumentParser = commands.add_parser(
        name, help=text, description=text[0].upper() + text[1:] + ".",
        epilog=f"example:\n  {example}", formatter_class=Help, allow_abbrev=False,
    )  # fmt: skip
    made.set_defaults(function=function)
    return made


def add_json(made: argparse.ArgumentParser) -> None:
    """Add --json, for commands whose result a program may read."""
    made.add_argument("--json", action="store_true", help="one JSON value on stdout, for programs")


def print_json(value: object) -> None:
    """Print a value for programs."""
    print(json.dumps(value, indent=1, sort_keys=True))


def is_first() -> bool:
    """Whether this is the only process, or the first of torchrun's."""
    return os.environ.get("RANK", "0") == "0"


def choose_device(text: str) -> str:
    """The device asked for; "auto" is a GPU where torch sees one.

    Raises:
        ValueError: there is no such device here.
    """
    import torch

    from eqco.config import DEVICES
    from eqco.runtime.validation import check_name

    has_gpu = torch.cuda.is_available()
    if text == "auto":
        return "cuda" if has_gpu else "cpu"
    check_name("device", text.partition(":")[0], DEVICES)
    if text.startswith("cuda") and not has_gpu:
        raise ValueError(f"--device {text}: torch sees no GPU here, use --device cpu")
    return text
