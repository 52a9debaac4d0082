"""`eqco show`: one record in words; `eqco ls`: the records and checkpoints below a folder."""

from __future__ import annotations

import argparse
import math
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from eqco.cli.options import Commands, add_json, command, path, print_json

if TYPE_CHECKING:
    from collections.abc import Iterator

JOB = ".job.json"


def add(commands: Commands) -> None:
    """Declare both commands."""
    text = "show one record in words, or list a folder of records"
    made = command(commands, "show", text, "eqco show runs/records/own/NAME.json", show)
    made.add_argument("record", type=path, help="JSON file of a record, or a folder")
    add_json(made)
    text = "list the records and checkpoints below a folder"
    made = command(commands, "ls", text, "eqco ls runs --json", listing)
    made.add_argument("folder", type=path, nargs="?", default=Path("runs"), help="(default: runs)")
    add_json(made)


def show(given: argparse.Namespace) -> None:
    """Print a record: its recipe where it differs from the default, and its result."""
    from eqco.artifacts.record import Record

    if given.record.is_dir():
        given.folder = given.record
        listing(given)
        return
    record = Record.read(given.record)
    if given.json:
        print_json(record.body())
        return
    print("\n".join(in_words(record)))


def in_words(record: Any) -> Iterator[str]:
    """Lines about a record."""
    from eqco.engine.progress import duration
    from eqco.evaluation.metrics import METRICS
    from eqco.recipe import Recipe

    default = asdict(Recipe())
    different = {
        name: value for name, value in asdict(record.recipe).items() if value != default[name]
    }
    titles = {name: metric.title for name, metric in METRICS.items()}
    metrics = ", ".join(f"{titles.get(n, n)} {v:.2f} %" for n, v in record.metrics.items())
    machine = record.machine
    yield record.run_id
    yield f"  recipe differs from the glyphs default in: {different or 'nothing'}"
    yield (
        f"  {metrics or 'no metrics: the images have no labels'}, CV^2 "
        f"{record.diagnostics.get('cv2', math.nan):.2f}, 1 - pi_0 "
        f"{record.diagnostics.get('one_minus_pi0', math.nan):.3f}, "
        f"{duration(record.seconds.get('train', 0) + record.seconds.get('probe', 0))}"
    )
    commit = (machine["commit"] or "unknown")[:10]
    yield f"  {machine['device']}, {machine['threads']} thread(s), commit {commit}"
    if record.note:
        yield f"  note: {record.note}"


def lines_of(folder: Path) -> Iterator[dict[str, Any]]:
    """What is known of each record and checkpoint below a folder, by path."""
    from eqco.artifacts.checkpoint import read
    from eqco.artifacts.record import Record, RecordError
    from eqco.runtime.validation import TrainingError

    for file in sorted(folder.rglob("*")):
        line: dict[str, Any] = {"path": str(file)}
        if file.name.startswith(".") or not file.is_file():
            continue
        if file.suffix == ".json" and not file.name.endswith(JOB):
            try:
                record = Record.read(file)
            except RecordError:
                yield line | {"kind": "other"}
                continue
            seconds = record.seconds.get("train", 0.0) + record.seconds.get("probe", 0.0)
            linear = record.metrics.get("linear")
            line |= {"linear": linear, "seconds": seconds, "ended": record.ended}
            yield line | {"kind": "record", "data": record.recipe.data}
        elif file.suffix == ".pt" and not file.name.endswith(".probe.pt"):
            try:
                state = read(file, "digest", "step")
                yield line | {"kind": "checkpoint", "step": state["step"]}
            except TrainingError:
                yield line | {"kind": "other"}


def listing(given: argparse.Namespace) -> None:
    """Print the records and checkpoints below a folder, a line each."""
    from eqco.engine.progress import duration
    from eqco.runtime.text import plain

    if not given.folder.is_dir():
        what = "is a file: eqco show tells what it holds" if given.folder.exists() else (
            "does not exist: records are written by eqco train, and by pytest reproductions/"
        )  # fmt: skip
        raise ValueError(f"folder {given.folder} {what}")
    found = list(lines_of(given.folder))
    if given.json:
        print_json(found)
        return
    for line in found:
        words = [line["kind"]]
        if line["kind"] == "record":
            linear = "no labels" if line["linear"] is None else f"linear {line['linear']:.2f} %"
            words += [linear, duration(line["seconds"]), line["ended"][:16], line["data"]]
        if line["kind"] == "checkpoint":
            words.append(f"step {line['step']}")
        print(f"{plain(line['path'])}  {', '.join(words)}")
    kinds = ("record", "checkpoint", "other")
    records, checkpoints, other = (sum(line["kind"] == kind for line in found) for kind in kinds)
    left = f", {other} file(s) that are neither or are damaged: see other" if other else ""
    print(f"{records} record(s) and {checkpoints} checkpoint(s) in {given.folder}{left}")
