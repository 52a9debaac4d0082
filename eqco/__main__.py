"""The command line of the library: `eqco run`, `show`, `diagnose`, `export`.

Modules that import torch are imported by the command that needs them, so that help is immediate.
"""

from __future__ import annotations

import argparse
import math
import os
import shlex
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from eqco import __version__
from eqco.checks import Number, argument
from eqco.runs.signals import Stopped, catching
from eqco.waiting import sleep_while_waiting


def show(given: argparse.Namespace) -> None:
    """Print a record: its recipe where it differs from the default, and its result."""
    from eqco.probes.metrics import METRICS
    from eqco.recipe import Recipe
    from eqco.runs.progress import duration
    from eqco.runs.record import Record

    record = Record.read(given.record)
    default = asdict(Recipe())
    different = {
        name: value for name, value in asdict(record.recipe).items() if value != default[name]
    }
    titles = {name: metric.title for name, metric in METRICS.items()}
    metrics = ", ".join(f"{titles.get(n, n)} {v:.2f} %" for n, v in record.metrics.items())
    print(record.run_id)
    print(f"  recipe differs from the glyphs default in: {different or 'nothing'}")
    print(
        f"  {metrics}, CV^2 {record.diagnostics.get('cv2', math.nan):.2f}, 1 - pi_0 "
        f"{record.diagnostics.get('one_minus_pi0', math.nan):.3f}, "
        f"{duration(record.seconds.get('train', 0) + record.seconds.get('probe', 0))}"
    )
    machine = record.machine
    print(f"  {machine['device']}, {machine['threads']} thread(s), commit {machine['commit']:.10}")
    if record.note:
        print(f"  note: {record.note}")


def run(given: argparse.Namespace) -> None:
    """Do the run of a job file, in this process or as one of torchrun's."""
    from eqco.runs.launch import Order
    from eqco.runs.progress import Log

    order = Order.read(given.order)
    first = os.environ.get("RANK", "0") == "0"
    done = order.do(Log(order.job.recipe.batch_size) if first else None)
    if done is not None:
        print(f"{done.run_id}  linear {done.metrics['linear']:.2f} %")


def diagnose(given: argparse.Namespace) -> None:
    """Print how small K may be for an encoder: CV^2, loss gaps at each K."""
    from eqco import diagnose as diagnosis
    from eqco.images import find_source, open_images
    from eqco.negatives import others
    from eqco.runs.pretrain import trained_encoder
    from eqco.runs.record import Record
    from eqco.settings import Machine

    known = Record.read(given.record).recipe if given.record else None
    method, recipe, seed = trained_encoder(given.checkpoint, known)
    own_tree = find_source(recipe.data).identify is not None
    if given.data and recipe.data == "glyphs":
        raise ValueError("the encoder was trained on glyphs, which are drawn: leave --data out")
    if own_tree and not given.data:
        raise ValueError(f"the encoder was trained on {recipe.data}: give --data with its folder")
    images = open_images(recipe, seed, Machine(data_dir=given.data or Path("data")))
    query, key = diagnosis.embed(method, images, given.images)
    similarity = query @ key.T
    found = diagnosis.diagnose(
        similarity.diagonal(),
        others(similarity),
        temperature=recipe.temperature,
        alpha=given.alpha,
        counts=given.negatives,
        tolerance=given.tolerance,
    )
    print(
        f"{recipe.run_id(seed)}: {len(query)} images of {recipe.data}, t {recipe.temperature:g}\n"
    )
    print(diagnosis.report(found, alpha=given.alpha))


def export(given: argparse.Namespace) -> None:
    """Write a backbone for other people's code."""
    from eqco import export as exporting

    exporting.export(given.checkpoint, given.to, given.out)


def parser() -> argparse.ArgumentParser:
    """Commands and options."""
    top = argparse.ArgumentParser(prog="eqco", description="Runs, encoders and records of EqCo.")
    top.add_argument("--version", action="version", version=__version__)
    commands = top.add_subparsers(required=True, metavar="command")
    command = commands.add_parser("run", help="one run, from its job file; also behind torchrun")
    command.add_argument("order", type=Path, help="job file, written beside the checkpoints")
    command.set_defaults(function=run)
    command = commands.add_parser("show", help="one record in words")
    command.add_argument("record", type=Path, help="JSON file of a record")
    command.set_defaults(function=show)
    command = commands.add_parser("diagnose", help="how small K may be for a trained encoder")
    command.add_argument("checkpoint", type=Path)
    command.add_argument("--record", type=Path, help="its record, for older checkpoints")
    command.add_argument("--data", type=Path, help="image tree of the encoder, or download folder")
    positive = argument(Number(1e-6, 1e12))
    command.add_argument("--alpha", type=positive, default=256.0, help="default: %(default)g")
    command.add_argument(
        "--images",
        type=argument(Number(3, whole=True)),
        default=2048,
        help="queries and keys (default: %(default)d)",
    )
    command.add_argument(
        "--negatives",
        type=int,
        nargs="+",
        default=[4, 16, 64, 255],
        help="K (default: 4 16 64 255)",
    )
    command.add_argument(
        "--tolerance", type=positive, default=0.05, help="loss gap, nats (default: %(default)g)"
    )
    command.set_defaults(function=diagnose)
    command = commands.add_parser("export", help="a backbone for other people's code")
    command.add_argument("checkpoint", type=Path)
    command.add_argument("out", type=Path)
    command.add_argument(
        "--to", default="torchvision", help="torchvision or moco (default: %(default)s)"
    )
    command.set_defaults(function=export)
    return top


def again(given: argparse.Namespace) -> str:
    """The command that continues a run, for a shell; "" behind torchrun, which has another."""
    if given.function is not run or "RANK" in os.environ:
        return ""
    return shlex.join([sys.executable, "-m", "eqco", "run", str(given.order.resolve())])


def main(arguments: Sequence[str] | None = None) -> int:
    """Parse and run; a bad input ends with status 2, a signal with 128 + its number."""
    given = parser().parse_args(arguments)
    sleep_while_waiting()
    try:
        with catching():
            given.function(given)
    except Stopped as stop:
        if os.environ.get("RANK", "0") == "0":  # torchrun's other processes say the same
            print(stop.sentence(again(given)), file=sys.stderr)
        return stop.status
    except (ValueError, RuntimeError, OSError, MemoryError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
