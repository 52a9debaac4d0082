"""Commands around the tables: `python -m reproductions COMMAND`; pytest runs the tables."""

from __future__ import annotations

import argparse
import shlex
import sys
from collections.abc import Callable, Iterable, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

from eqco.cli import check_output
from eqco.cli.errors import run_cli, set_up_output
from eqco.cli.options import option, switch
from eqco.runtime.cpu import granted_cores
from eqco.runtime.text import plain
from eqco.runtime.validation import known_name, path_argument, whole
from reproductions.experiments import check_images, imagenet, plan, submissions, sweep, throughput
from reproductions.experiments.grid import PARTS
from reproductions.harness.options import OPTIONS
from reproductions.reports import pages, user_tables
from reproductions.reports.html import page
from reproductions.results import compare
from reproductions.results.records import RECORDS


def shared(*names: str, **changes: Any) -> dict[str, dict[str, Any]]:
    """Options that others have too, with what differs here."""
    return {f"--{name}": {**OPTIONS[name], **changes} for name in names}


def parts(default: Iterable[str], words: str) -> dict[str, dict[str, Any]]:
    """The option --parts with the default of a command."""
    return shared("parts", default=list(default), help=OPTIONS["parts"]["help"].format(words))


# Function, help and options, by the name of the command.
COMMANDS: dict[str, tuple[Callable[..., int], str, dict[str, dict[str, Any]]]] = {
    "tables": (
        plan.scales, "scales and tables, with their runs and records", shared("scale", "records"),
    ),
    "plan": (plan.main, "every run of a scale: state and price", {
        **shared("scale", "tables", "experiment", "seeds", "records", "checkpoints", "data"),
        **shared("throughput", "precision"),
        **parts(["tables"], "tables"),
    }),
    "table": (user_tables.main, "tables of your records beside the committed ones", {
        **shared("scale"),
        **shared("records", default=None,
                 help="folder of records (default: runs/records, else the committed ones)"),
        **shared("tables"),
        "--runs": switch("a line a run, instead of one a row (csv, json or parquet)"),
        "--claims": switch("claims with interval and verdict, instead of rows"),
        "--format": option(known_name("format", user_tables.FORMS),
                           f"one of {', '.join(user_tables.FORMS)} (default: by the ending of "
                           "--out, else text in a terminal, else md)"),
        "--out": option(path_argument, "file to write instead of printing"),
    }),
    "compare": (compare.main, "where two folders of records differ", {
        "a": option(path_argument, "folder of records"),
        "b": option(path_argument, "another one"),
    }),
    "sweep": (sweep.main, "every run behind the pages of a scale", {
        **shared("scale", "data", "device", "precision", "tables", "experiment", "records"),
        **shared("checkpoints", "strict-busy"),
        **shared("seeds", default=10),
        "--first-seed": option(whole(0), "the first of the seeds (default: 0)", default=0),
        **parts(PARTS, "all"),
        "--at-once": option(whole(), "runs at once, of one thread each (default: one for each "
                            "granted core)", default=granted_cores()),
        "--only": option(str, "only runs whose name holds this text", default=""),
        "--skip-committed": switch("only runs that have no committed record"),
    }),
    "records": (submissions.main, "records beside the committed ones", {
        "action": option(str, "check: whether they can stand there; add: put them there",
                         choices=("check", "add")),
        "folder": option(path_argument, "folder of records, such as runs/records"),
    }),
    "pages": (pages.main, "write README and docs from committed records", {
        "--check": switch("change nothing, fail where stale"),
    }),
    "report": (page.main, "one HTML page of all that the records say", {
        **shared("records", default=None, help="folder of records (default: the committed ones)"),
        "--out": option(path_argument, "where the page goes (default: runs/report.html)",
                        default=Path("runs/report.html")),
    }),
    "check": (check_images.main, "open every image of a tree, before a long run", {
        **shared("data", required=True, help="folder:PATH or part:PATH"),
        **shared("workers"),
    }),
    "throughput": (throughput.main, "images a second of this machine, for plan", {
        **shared("scale", default="imagenet"),
        **shared("data", required=True, help="folder:PATH (ImageNet) or part:PATH"),
        **shared("workers", "device", "threads", "compile"),
        "--steps": option(whole(), "timed, of each kind (default: 50)", default=50),
        "--batch-size": option(whole(2), "of all processes together (default: 256)", default=256),
        "--out": option(path_argument, "JSON file, for plan --throughput"),
    }),
    "full": (imagenet.main, "all tables on ImageNet; other options go to pytest", {
        **shared("data", "seeds", "records", "checkpoints", "throughput", "precision"),
        "--plan-only": switch("check and plan, run nothing"),
    }),
}  # fmt: skip


def parser() -> argparse.ArgumentParser:
    """Commands and options."""
    root = argparse.ArgumentParser(
        prog="python -m reproductions",
        description="Plans, sweeps and pages of the tables; `pytest reproductions` runs tables.",
    )
    commands = root.add_subparsers(required=True, metavar="command")
    for name, (function, text, options) in COMMANDS.items():
        command = commands.add_parser(name, help=text)
        command.set_defaults(function=function)
        for option_name, settings in options.items():
            command.add_argument(option_name, **settings)
    return root


def main(arguments: Sequence[str] | None = None) -> int:
    """Parse and run; bad input ends with one sentence and status 2."""
    set_up_output()
    args, rest = parser().parse_known_args(arguments)
    if args.function is imagenet.main:  # pytest gets its words, and says itself how to continue
        return run_cli(lambda: imagenet.main(args, rest), signals=nullcontext)
    if rest:
        parser().error(plain(f"unknown options: {' '.join(rest)}"))
    words = sys.argv[1:] if arguments is None else arguments
    command = shlex.join(["python", "-m", "reproductions", *words])
    return run_cli(lambda: run_command(args), command)


def run_command(args: argparse.Namespace) -> int:
    """Do a command, whose output is none of the files that it reads."""
    _, _, path = (getattr(args, "data", None) or "").partition(":")
    check_output(args, RECORDS, *([Path(path)] if path else []))
    return int(args.function(args))


if __name__ == "__main__":
    sys.exit(main())
