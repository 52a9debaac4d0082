"""`eqco ls`: the records and checkpoints below a folder."""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from eqco.artifacts.checkpoint import read
from eqco.artifacts.record import Record, RecordError
from eqco.artifacts.run_files import JOB
from eqco.cli.options import print_json
from eqco.engine.progress import duration
from eqco.runtime.validation import TrainingError

COLLECTED = ".jsonl"
WIDTH = 80  # of a terminal


def about(record: Record) -> dict[str, Any]:
    """What a list says of a record."""
    return {
        "linear": record.metrics.get("linear"),
        "seconds": record.seconds.get("train", 0.0) + record.seconds.get("probe", 0.0),
        "ended": record.ended,
        "kind": "record",
        "data": record.recipe.data,
    }


def lines_of(place: Path) -> Iterator[dict[str, Any]]:
    """What is known of each record and checkpoint below a folder, or in a file of records."""
    for file in sorted(place.rglob("*")) if place.is_dir() else [place]:
        if file.name.startswith(".") or not file.is_file():
            continue
        path = str(file)
        try:
            if file.suffix == COLLECTED:
                for record in Record.read_lines(file):
                    yield {"path": f"{path} {record.run_id}", **about(record)}
            elif file.suffix == ".json" and not file.name.endswith(JOB):
                yield {"path": path, **about(Record.read(file))}
            elif file.suffix == ".pt" and not file.name.endswith(".probe.pt"):
                step = read(file, "digest", "step")["step"]
                yield {"path": path, "kind": "checkpoint", "step": step}
        except (RecordError, TrainingError):
            yield {"path": path, "kind": "other"}


def main(options: argparse.Namespace) -> None:
    """Print the records and checkpoints below a folder, a line each."""
    if not options.folder.is_dir() and not (
        options.folder.suffix == COLLECTED and options.folder.is_file()
    ):
        what = "is a file: eqco show tells what it holds" if options.folder.exists() else (
            "does not exist: records are written by eqco train, and by pytest reproductions/"
        )  # fmt: skip
        raise ValueError(f"folder {options.folder} {what}")
    entries = list(lines_of(options.folder))
    if options.json:
        print_json(entries)
        return
    for line in entries:
        words = [line["kind"]]
        if line["kind"] == "record":
            linear = "no labels" if line["linear"] is None else f"linear {line['linear']:.2f} %"
            words += [linear, duration(line["seconds"]), line["ended"][:16], line["data"]]
        if line["kind"] == "checkpoint":
            words.append(f"step {line['step']}")
        name, text = line["path"].removeprefix(f"{options.folder}{os.sep}"), ", ".join(words)
        apart = "  " if len(name) + len(text) + 2 <= WIDTH else "\n    "
        print(f"{name}{apart}{text}")
    kinds = ("record", "checkpoint", "other")
    records, checkpoints, other = (sum(line["kind"] == kind for line in entries) for kind in kinds)
    left = f", {other} file(s) that are neither or are damaged: see other" if other else ""
    print(f"{records} record(s) and {checkpoints} checkpoint(s) in {options.folder}{left}")
