"""`eqco run`: one run from its job file."""

from __future__ import annotations

import argparse

from eqco.cli.options import Commands, command, is_first, path


def add(commands: Commands) -> None:
    """Declare the command."""
    text = "do one run from its job file, also behind torchrun"
    made = command(commands, "run", text, "eqco run runs/checkpoints/NAME.job.json", run)
    made.set_defaults(resumes=True)
    made.add_argument("order", type=path, help="job file, written beside the checkpoints")


def run(given: argparse.Namespace) -> None:
    """Do the run of a job file, in this process or as one of torchrun's."""
    from eqco.engine.launchers import Order
    from eqco.engine.progress import Log

    order = Order.read(given.order)
    done = order.do(Log(order.job.recipe.batch_size) if is_first() else None)
    if done is not None:
        top1 = done.metrics.get("linear")
        print(f"{done.run_id}  " + ("done" if top1 is None else f"linear {top1:.2f} %"))
