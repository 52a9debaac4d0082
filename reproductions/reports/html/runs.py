"""Runs on the page: recipe, commit and time of each, what made them, and their training curves.

A curve stands in the range in which its loss is expected.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass

import pandas as pd

from eqco.artifacts.record import Record
from eqco.engine.progress import duration
from eqco.evaluation.metrics import METRICS
from eqco.losses.registry import LOSSES
from eqco.methods import METHODS
from eqco.recipe import Recipe
from reproductions.results.compare import origins
from reproductions.results.evidence import Evidence
from reproductions.tables.formats import Grid


def differences(recipe: Recipe, base: Recipe) -> list[str]:
    """Fields in which a recipe differs from the base: `num_negatives = 16`."""
    fields, base_fields = asdict(recipe), asdict(base)
    changed = {name: value for name, value in fields.items() if value != base_fields[name]}
    return [
        f"{name} = {format(value, 'g') if type(value) is float else value}"
        for name, value in changed.items()
    ]


def marks(record: Record) -> list[str]:
    """Why a record may not be what today's code gives, and its note."""
    texts = []
    if record.machine.get("dirty"):
        texts.append("made from changed files")
    if record.machine.get("commit", "") is None:
        texts.append("of an unknown commit")
    return [*texts, *filter(None, [record.note])]


def made_with(evidence: Evidence) -> Grid:
    """Machines, versions, commits and data of the records of a scale, each value once."""
    lines = [
        (name, ", ".join(sorted(values))) for name, values in origins(evidence.records).items()
    ]
    frame = pd.DataFrame(lines, columns=["what", "values"])
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


def ceiling(recipe: Recipe) -> float | None:
    """log(1 + alpha), or log(1 + K) without alpha: the loss where all similarities are equal.

    None for losses that have none there (DCL, FlatNCE, SogCLR) or scale it (dual temperature).
    """
    loss = LOSSES[recipe.loss]
    if loss.limit is not None or loss.setting == "second_temperature":
        return None
    return math.log1p(loss.effective_negatives(recipe.num_negatives, recipe.alpha))


@dataclass(frozen=True)
class Plot:
    """The curves of a row.

    Attributes:
        title: method, loss and K.
        text: first and last loss, and the expected range.
        ceiling: upper end of the expected range, 0 where none is known.
        steps, top: ends of the axes.
        lines: points of each seed's curve as SVG has them, the loss upwards.
    """

    title: str
    text: str
    ceiling: float
    steps: float
    top: float
    lines: list[str]


def plots(evidence: Evidence) -> list[Plot]:
    """A plot for each recipe of the tables that has trained runs with a curve."""
    shown = []
    for recipe, (row, _) in evidence.rows.items():
        records = evidence.records_for(row).values()
        curves = [record.curve for record in records if len(record.curve.get("step", ())) > 1]
        if not curves:
            continue
        expected, losses = ceiling(recipe), [curve["loss"] for curve in curves]
        start, end = (sum(run[place] for run in losses) / len(losses) for place in (0, -1))
        steps = max(curve["step"][-1] for curve in curves)
        text = f"mean loss from {start:.2f} to {end:.2f} in {steps:,.0f} steps; "
        text += "no expected range" if expected is None else f"expected 0 to {expected:.2f}"
        pairs = [zip(curve["step"], curve["loss"], strict=True) for curve in curves]
        shown.append(
            Plot(
                title=f"{METHODS[recipe.method].title}, {row.title}, K = {recipe.num_negatives}",
                text=text,
                ceiling=expected or 0.0,
                steps=steps,
                top=1.05 * max(expected or 0.0, *map(max, losses)),
                lines=[" ".join(f"{s:.0f},{-loss:.2f}" for s, loss in run) for run in pairs],
            )
        )
    return shown
