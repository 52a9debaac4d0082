"""`eqco show`: one record in words."""

from __future__ import annotations

import argparse
import math
from collections.abc import Iterator
from dataclasses import asdict

from eqco.artifacts.record import Record
from eqco.cli import ls
from eqco.cli.options import print_json
from eqco.engine.progress import duration
from eqco.evaluation.metrics import METRICS
from eqco.recipe import Recipe


def main(options: argparse.Namespace) -> None:
    """Print a record: its recipe where it differs from the default, and its result."""
    several = options.record.is_dir() or options.record.suffix == ls.COLLECTED
    if several and not options.run:
        options.folder = options.record
        ls.main(options)
        return
    record = Record.named(options.run, options.record) if several else Record.read(options.record)
    if record is None:
        raise ValueError(
            f"{options.record} has no run {options.run!r}: name one that eqco show lists"
        )
    if options.json:
        print_json(record.body())
        return
    print("\n".join(in_words(record)))


def in_words(record: Record) -> Iterator[str]:
    """Lines about a record."""
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
