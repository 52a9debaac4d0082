"""Commands around the tables: `python -m reproductions COMMAND`; pytest runs the tables."""

from __future__ import annotations

import argparse
import shlex
import sys
from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import TypeAlias

from eqco.cli.errors import open_door, through_door
from eqco.runtime.cpu import granted_cores
from eqco.runtime.validation import path_argument
from reproductions import formats
from reproductions.experiments import check_images, imagenet, plan, sweep, throughput
from reproductions.experiments.grid import PARTS
from reproductions.harness.options import OPTIONS, add_options, folder, known_name, whole
from reproductions.reports import pages, user_tables
from reproductions.reports.html import page
from reproductions.results import compare

Commands: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"


def add_planning(commands: Commands) -> None:
    """What there is, and what a scale costs."""
    command = commands.add_parser("tables", help="scales and tables, with their runs and records")
    add_options(command.add_argument, "scale", "records")
    command.set_defaults(function=plan.scales)
    command = commands.add_parser("plan", help="every run of a scale: state and price")
    names = ("scale", "tables", "experiment", "seeds", "records", "checkpoints", "data")
    add_options(command.add_argument, *names, "throughput", "precision")
    told = OPTIONS["parts"]["help"].format("tables")
    add_options(command.add_argument, "parts", default=["tables"], help=told)
    command.set_defaults(function=plan.main)


def add_comparing(commands: Commands) -> None:
    """Tables of a reader's own records, and two folders beside each other."""
    command = commands.add_parser("table", help="tables of your records beside the committed ones")
    add_options(command.add_argument, "scale", "records", "tables")
    command.add_argument(
        "--format", type=known_name("format", formats.FORMATS), default="md",
        help=f"one of {', '.join(formats.FORMATS)} (default: md)",
    )  # fmt: skip
    command.set_defaults(function=user_tables.main)
    command = commands.add_parser("compare", help="where two folders of records differ")
    command.add_argument("a", type=folder, help="folder of records")
    command.add_argument("b", type=folder, help="another one")
    command.set_defaults(function=compare.main)


def add_sweeping(commands: Commands) -> None:
    """The runs behind the pages."""
    command = commands.add_parser("sweep", help="every run behind the pages of a scale")
    add_options(command.add_argument, "scale", "data", "device", "tables", "experiment")
    add_options(command.add_argument, "records", "checkpoints")
    add_options(command.add_argument, "seeds", default=10)
    command.add_argument(
        "--first-seed", type=whole(0), default=0, help="the first of the seeds (default: 0)"
    )
    told = OPTIONS["parts"]["help"].format("all")
    add_options(command.add_argument, "parts", default=list(PARTS), help=told)
    command.add_argument(
        "--at-once",
        type=whole(),
        default=granted_cores(),
        help="runs at once, of one thread each (default: one for each granted core)",
    )
    command.add_argument("--only", default="", help="only runs whose name holds this text")
    add_options(command.add_argument, "strict-busy")
    command.set_defaults(function=sweep.main)


def add_writing(commands: Commands) -> None:
    """The pages and the report."""
    command = commands.add_parser("pages", help="write README and docs from committed records")
    command.add_argument("--check", action="store_true", help="change nothing, fail where stale")
    command.set_defaults(function=pages.main)
    command = commands.add_parser("report", help="one HTML page of all that the records say")
    words = "folder of records (default: the committed ones)"
    add_options(command.add_argument, "records", default=None, help=words)
    words = "where the page goes (default: runs/report.html)"
    command.add_argument("--out", type=path_argument, default=Path("runs/report.html"), help=words)
    command.set_defaults(function=page.main)


def add_measuring(commands: Commands) -> None:
    """The images of a tree, and the speed of this machine."""
    command = commands.add_parser("check", help="open every image of a tree, before a long run")
    add_options(command.add_argument, "data", required=True, help="folder:PATH or part:PATH")
    add_options(command.add_argument, "workers")
    command.set_defaults(function=check_images.main)
    command = commands.add_parser("throughput", help="images a second of this machine, for plan")
    add_options(command.add_argument, "scale", default="imagenet")
    add_options(command.add_argument, "workers", "device", "threads", "compile")
    add_options(
        command.add_argument, "data", required=True, help="folder:PATH (ImageNet) or part:PATH"
    )
    command.add_argument(
        "--steps", type=whole(), default=50, help="timed, of each kind (default: 50)"
    )
    command.add_argument(
        "--batch-size", type=whole(2), default=256, help="of all processes together (default: 256)"
    )
    command.add_argument("--out", type=path_argument, help="JSON file, for plan --throughput")
    command.set_defaults(function=throughput.main)


def add_everything(commands: Commands) -> None:
    """All tables on ImageNet."""
    command = commands.add_parser("full", help="all tables on ImageNet; other options go to pytest")
    add_options(command.add_argument, "data", "seeds", "records", "checkpoints")
    add_options(command.add_argument, "throughput", "precision")
    command.add_argument("--plan-only", action="store_true", help="check and plan, run nothing")
    command.set_defaults(function=imagenet.main)


COMMANDS = (
    add_planning,
    add_comparing,
    add_sweeping,
    add_writing,
    add_measuring,
    add_everything,
)


def parser() -> argparse.ArgumentParser:
    """Commands and options."""
    top = argparse.ArgumentParser(
        prog="python -m reproductions",
        description="Plans, sweeps and pages of the tables; `pytest reproductions` runs tables.",
    )
    commands = top.add_subparsers(required=True, metavar="command")
    for add in COMMANDS:
        add(commands)
    return top


def main(arguments: Sequence[str] | None = None) -> int:
    """Parse and run; bad input ends with one sentence and status 2."""
    open_door()
    given, words = parser().parse_known_args(arguments)
    if given.function is imagenet.main:  # pytest gets its words, and says itself how to continue
        return through_door(lambda: imagenet.main(given, words), signals=nullcontext)
    if words:
        parser().error(f"unknown options: {' '.join(words)}")
    given_words = sys.argv[1:] if arguments is None else arguments
    command = shlex.join(["python", "-m", "reproductions", *given_words])
    return through_door(lambda: given.function(given), command)


if __name__ == "__main__":
    sys.exit(main())
