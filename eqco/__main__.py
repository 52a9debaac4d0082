"""The command line: `python -m eqco plan`, `show`, `run`, `diagnose` and `export`."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from eqco import __version__
from eqco import record as records
from eqco.data import load
from eqco.diagnose import diagnose, embeddings_of, report
from eqco.export import export
from eqco.launch import Log, Order
from eqco.negatives import others
from eqco.pretrain import trained_encoder
from eqco.recipe import SCALES, Recipe
from eqco.report import duration, frame


def plan(arguments: argparse.Namespace) -> None:
    """Print the scales, what a row costs, and what the records folder holds of each."""
    for name, scale in SCALES.items():
        folder = arguments.records / name
        done = len(records.read_all(folder)) if folder.is_dir() else 0
        evidence = "" if scale.evidence else "; never evidence"
        print(f"{name:8s} K = {', '.join(map(str, scale.negatives))}; {scale.price}{evidence}")
        print(f"         {done} records in {folder}")


def show(arguments: argparse.Namespace) -> None:
    """Print a record: its recipe where it differs from the default, and its result."""
    record = records.read(arguments.record)
    default = Recipe()
    different = {
        name: value for name, value in record["recipe"].items() if value != getattr(default, name)
    }
    line = frame([record]).iloc[0]
    print(record["run_id"])
    print(f"  recipe differs from the glyphs default in: {different or 'nothing'}")
    print(
        f"  linear {line['linear']:.2f} %, kNN {line['knn']:.2f} %, class mean "
        f"{line['class_mean']:.2f} %, CV^2 {line['cv2']:.2f}, 1 - pi_0 "
        f"{line['one_minus_pi0']:.3f}, {duration(line['seconds'])}"
    )
    machine = record["machine"]
    print(f"  {machine['device']}, {machine['threads']} thread(s), commit {machine['commit'][:10]}")
    if record["note"]:
        print(f"  note: {record['note']}")


def run(arguments: argparse.Namespace) -> None:
    """Do the run of a job file, in this process or as one of torchrun's."""
    order = Order.read(arguments.order)
    first = os.environ.get("RANK", "0") == "0"
    done = order.do(Log(order.job.recipe.batch_size) if first else None)
    if done is not None:
        print(f"{done['run_id']}  linear {done['metrics']['linear']:.2f} %")


def diagnosis(arguments: argparse.Namespace) -> None:
    """Print what an encoder says of EqCo: CV^2, loss gaps, and how small K may be."""
    known = records.read(arguments.record) if arguments.record else None
    method, recipe, seed = trained_encoder(
        arguments.checkpoint, Recipe.of(known["recipe"]) if known else None
    )
    if recipe.data.startswith("folder:") and not arguments.data:
        raise ValueError(f"the encoder was trained on {recipe.data}: give --data with its folder")
    data = load(recipe.data, recipe.data_part, arguments.data or Path("data"))
    query, key = embeddings_of(method, recipe, seed, data, arguments.images)
    similarity = query @ key.T
    found = diagnose(
        similarity.diagonal(),
        others(similarity),
        temperature=recipe.temperature,
        alpha=arguments.alpha,
        counts=arguments.negatives,
        tolerance=arguments.tolerance,
    )
    print(
        f"{recipe.run_id(seed)}: {len(query)} images of {recipe.data}, t {recipe.temperature:g}\n"
    )
    print(report(found, alpha=arguments.alpha))


def main(arguments: Sequence[str] | None = None) -> int:
    """Parse and run; a bad input ends with one sentence and status 2."""
    parser = argparse.ArgumentParser(
        prog="python -m eqco", description="EqCo reproducibility suite"
    )
    parser.add_argument("--version", action="version", version=__version__)
    commands = parser.add_subparsers(required=True)
    command = commands.add_parser("plan", help="scales, prices, and what is done")
    command.add_argument("--records", type=Path, default=Path("runs/records"))
    command.set_defaults(function=plan)
    command = commands.add_parser("show", help="one record in words")
    command.add_argument("record", type=Path)
    command.set_defaults(function=show)
    command = commands.add_parser("run", help="one run, from its job file; also behind torchrun")
    command.add_argument("order", type=Path)
    command.set_defaults(function=run)
    command = commands.add_parser("diagnose", help="how small K may be for a trained encoder")
    command.add_argument("checkpoint", type=Path)
    command.add_argument("--record", type=Path, help="its record, for older checkpoints")
    command.add_argument("--data", type=Path, help="image tree of the encoder, or download folder")
    command.add_argument("--alpha", type=float, default=256.0)
    command.add_argument("--images", type=int, default=2048, help="queries and keys")
    command.add_argument("--negatives", type=int, nargs="+", default=[4, 16, 64, 255], help="K")
    command.add_argument("--tolerance", type=float, default=0.05, help="loss gap, nats")
    command.set_defaults(function=diagnosis)
    command = commands.add_parser("export", help="a backbone for other people's code")
    command.add_argument("checkpoint", type=Path)
    command.add_argument("out", type=Path)
    command.add_argument("--to", default="torchvision", help="torchvision or moco")
    command.set_defaults(function=lambda a: export(a.checkpoint, a.to, a.out))
    given = parser.parse_args(arguments)
    try:
        given.function(given)
    except (ValueError, RuntimeError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
