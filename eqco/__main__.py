"""The command line: `python -m eqco plan`, `throughput`, `run`, `show`, `diagnose`, `export`."""

from __future__ import annotations

import argparse
import importlib
import os
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import torch

from eqco import __version__
from eqco import record as records
from eqco.data import load
from eqco.diagnose import diagnose, embeddings_of, report
from eqco.export import export
from eqco.launch import Log, Order
from eqco.negatives import others
from eqco.pretrain import trained_encoder
from eqco.recipe import SCALES, Machine, Recipe, check_name
from eqco.report import duration, frame
from eqco.throughput import measure_here
from eqco.tree import scan


def plan(arguments: argparse.Namespace) -> None:
    """Print the scales, what a row costs, and what is recorded; or every run of one scale.

    The tables are not part of the package: a plan of their runs needs a checkout of the suite.
    """
    if arguments.scale:
        try:
            tables = importlib.import_module("reproductions.plan")
        except ModuleNotFoundError as error:
            raise ValueError("the tables are not here: plan in a checkout of the suite") from error
        tables.main(arguments)
        return
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


def throughput(arguments: argparse.Namespace) -> None:
    """Measure and print rates of the image-file recipes."""
    check_name("scale", arguments.scale, list(SCALES))
    recipe = SCALES[arguments.scale].base
    kind, _, path = arguments.data.partition(":")
    if not recipe.from_files or kind not in ("folder", "part") or not path:
        raise ValueError(
            f"throughput is of scale imagenet with --data folder:PATH or part:PATH, got "
            f"{arguments.scale} and {arguments.data!r}"
        )
    size = arguments.batch_size
    recipe = replace(recipe, batch_size=size, num_negatives=min(255, size - 1))
    machine = Machine(device=arguments.device, workers=arguments.workers, compile=arguments.compile)
    tree = scan(Path(path).expanduser())
    found = measure_here(recipe, tree, machine, arguments.steps, arguments.out)
    if found:
        print(f"{found['device']}, {found['processes']} process(es), batch {size}")
        for name, rate in found["images_per_second"].items():
            print(f"  {name.replace('_', ' '):26s}{rate:10,.1f} images/s")


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
    command.add_argument("--scale", help=f"list every run of it; one of {', '.join(SCALES)}")
    command.add_argument("--tables", type=int, nargs="+", default=[1, 2, 3, 4, 5, 6])
    command.add_argument("--seeds", type=int, default=1)
    command.add_argument("--records", type=Path, default=Path("runs/records"))
    command.add_argument("--checkpoints", type=Path, default=Path("runs/checkpoints"))
    command.add_argument("--data", default="", help="folder:PATH or part:PATH, as the tables have")
    command.add_argument("--throughput", type=Path, help="what `throughput --out` wrote")
    command.set_defaults(function=plan)
    command = commands.add_parser("throughput", help="images a second, what a long run costs")
    command.add_argument("--data", required=True, help="folder:PATH (ImageNet) or part:PATH")
    command.add_argument("--scale", default="imagenet")
    command.add_argument("--steps", type=int, default=50, help="timed, of each kind")
    command.add_argument("--batch-size", type=int, default=256, help="of all processes together")
    command.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    command.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    command.add_argument("--compile", action="store_true")
    command.add_argument("--out", type=Path, help="JSON file, for plan --throughput")
    command.set_defaults(function=throughput)
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
