"""`eqco export`: a backbone for other people's code."""

from __future__ import annotations

import argparse

from eqco.cli.options import Commands, add_json, command, path, print_json


def add(commands: Commands) -> None:
    """Declare the command."""
    text = "write a backbone for other people's code, and say how it loads"
    made = command(commands, "export", text, "eqco export runs/checkpoints/NAME.pt b.pt", export)
    made.add_argument("checkpoint", type=path, help="of a run")
    made.add_argument("out", type=path, help="file to write")
    made.add_argument(
        "--to",
        help="parameter names: torchvision (also timm's), moco or own (default: torchvision where "
        "the backbone is one of its, else own)",
    )
    add_json(made)


def export(given: argparse.Namespace) -> None:
    """Write the backbone and say what was written."""
    from eqco.artifacts import export as exporting

    done = exporting.export(given.checkpoint, given.to, given.out)
    if given.json:
        print_json({**vars(done), "path": str(done.path), "loading": done.loading})
    else:
        print(done)
