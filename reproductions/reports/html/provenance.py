"""Where the numbers come from: every run with its recipe, commit and time, and what made them."""

from __future__ import annotations

from dataclasses import asdict

import pandas as pd

from eqco.artifacts.record import Record
from eqco.engine.progress import duration
from eqco.evaluation.metrics import METRICS
from eqco.recipe import Recipe
from reproductions.results.compare import origins
from reproductions.results.evidence import Evidence
from reproductions.tables.formats import Grid


def differences(recipe: Recipe, base: Recipe) -> list[str]:
    """Fields in which a recipe differs from the base: `num_negatives = 16`."""
    own, usual = asdict(recipe), asdict(base)
    shown = {name: value for name, value in own.items() if value != usual[name]}
    return [
        f"{name} = {format(value, 'g') if type(value) is float else value}"
        for name, value in shown.items()
    ]


def marks(record: Record) -> list[str]:
    """Why a record may not be what today's code gives, and its note."""
    found = []
    if record.machine.get("dirty"):
        found.append("made from changed files")
    if record.machine.get("commit", "") is None:
        found.append("of an unknown commit")
    return [*found, *filter(None, [record.note])]


def made_with(evidence: Evidence) -> Grid:
    """Machines, versions, commits and data of the records of a scale, each value once."""
    found = origins(evidence.records)
    values = [", ".join(sorted(each)) for each in found.values()]
    frame = pd.DataFrame({"what": list(found), "values": values})
    return Grid(frame, title=f"Scale {evidence.scale}: made with")


def every_run(evidence: Evidence) -> Grid:
    """A line a record: its recipe against the base, its metrics, where and when it was made."""
    lines = []
    for record in evidence.records:
        _, tables = evidence.rows.get(record.recipe, (None, []))
        metrics = {
            metric.title: f"{record.metrics[name]:.2f}" if name in record.metrics else "–"
            for name, metric in METRICS.items()
        }
        seconds = sum(record.seconds.get(stage, 0.0) for stage in ("train", "probe"))
        line = {
            "run": record.run_id,
            "differs from the base in": ", ".join(differences(record.recipe, evidence.base)),
            **metrics,
            "tables": ", ".join(map(str, tables)),
            "time": duration(seconds) if seconds else "–",
            "ended": record.ended[:16],
            "commit": str(record.machine.get("commit"))[:10],
            "device": str(record.machine.get("device")),
            "remarks": "; ".join(marks(record)),
        }
        lines.append(line)
    numbers = [metric.title for metric in METRICS.values()]
    return Grid(pd.DataFrame(lines), numbers, f"Scale {evidence.scale}: {len(lines)} runs")
