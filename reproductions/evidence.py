"""Committed records as tidy frames, one line a run; figures and pages read these."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, replace
from functools import cache
from pathlib import Path

import pandas as pd

from eqco.contrast import LOSSES
from eqco.methods import METHODS
from eqco.probes.metrics import METRICS
from eqco.recipe import Recipe
from eqco.runs.record import Record
from reproductions.agreement import prediction_intervals
from reproductions.claims import PRIMARY, Verdicts, judge_claims
from reproductions.judge import interval
from reproductions.scales import SCALES
from reproductions.tables import table
from reproductions.tables.cells import Row

# The committed evidence was made under numerics 1. Numerics 2 rounds differently and draws other
# negatives, from the same distribution; its own evidence goes to records/SCALE.
EVIDENCE_NUMERICS = 1
RECORDS = Path(__file__).parent / "records" / "v1"
UNTRAINED = "untrained"


def metric_titles() -> dict[str, str]:
    """Titles of the metrics by name."""
    return {name: metric.title for name, metric in METRICS.items()}


def frame(records: Sequence[Record]) -> pd.DataFrame:
    """One line a run: recipe, digest, seed, titles, metrics in percent, diagnostics, seconds."""
    return pd.DataFrame(
        {
            **asdict(record.recipe),
            "digest": record.recipe.digest(),  # under today's numerics, to be found by recipe
            "seed": record.seed,
            "loss_title": LOSSES[record.recipe.loss].title if record.recipe.epochs else UNTRAINED,
            "method_title": METHODS[record.recipe.method].title,
            **record.metrics,
            **record.diagnostics,
            "seconds": record.seconds["train"] + record.seconds["probe"],
            "note": record.note,
        }
        for record in records
    )


@cache
def committed_records(scale: str) -> tuple[Record, ...]:
    """Committed records of a scale."""
    return tuple(Record.read_all(RECORDS / scale, EVIDENCE_NUMERICS))


@cache
def runs(scale: str) -> pd.DataFrame:
    """Committed records of a scale as a frame; empty where there are none."""
    found = frame(committed_records(scale))
    needed = ["digest", "seed", "data", "loss_title", "method_title", "seconds", *METRICS]
    return found.reindex(columns=[*found.columns, *(n for n in needed if n not in found)])


def evidence_base(scale: str) -> Recipe:
    """The baseline of a scale, with the data of its records where users bring the data."""
    base, found = SCALES[scale].base, runs(scale)
    return (
        replace(base, data=found["data"].iloc[0]) if base.data == "folder" and len(found) else base
    )


def judged_scales() -> list[str]:
    """Scales at which claims are judged and records are committed."""
    return [name for name, each in SCALES.items() if each.evidence and len(runs(name))]


def recipe_runs(scale: str, recipes: Iterable[Recipe]) -> pd.DataFrame:
    """Runs of some recipes."""
    found = runs(scale)
    return found[found["digest"].isin([recipe.digest() for recipe in recipes])]


def table_runs(number: int, scale: str) -> pd.DataFrame:
    """Runs of a table, with `row`, the name of the row that each belongs to."""
    rows = table(number, scale, evidence_base(scale)).rows
    known = {row.recipe.digest(): row for row in rows}
    found = recipe_runs(scale, [row.recipe for row in rows])
    names = found["digest"].map({digest: row.name for digest, row in known.items()})
    return found.assign(scale=scale, row=names).sort_values(["row", "seed"])


def by_seed(found: pd.DataFrame, metric: str = "linear", **where: object) -> dict[int, float]:
    """The metric of the runs that match and have it, by seed."""
    for name, value in where.items():
        found = found[found[name] == value]
    found = found[found[metric].notna()]
    return dict(zip(found["seed"].astype(int), found[metric].astype(float), strict=True))


def row_values(scale: str, row: Row, metric: str = "linear") -> dict[int, float]:
    """The metric of a row's runs by seed."""
    return by_seed(recipe_runs(scale, [row.recipe]), metric)


@cache
def verdicts(number: int, scale: str, base: Recipe | None = None) -> dict[str, Verdicts]:
    """What the committed records say of a table's claims: by claim, then by metric.

    Args:
        number: of the table.
        scale: whose records are judged.
        base: another baseline than that of the records, such as one on a user's images.
    """
    claims = table(number, scale, base or evidence_base(scale)).claims
    return judge_claims(claims, lambda row, metric: row_values(scale, row, metric))


@cache
def predictions(number: int, scale: str, base: Recipe) -> dict[str, tuple[float, float]]:
    """Where a new run of each row of a table falls by the committed records, linear probe.

    Rows with fewer than two committed runs are left out.
    """
    rows = table(number, scale, base).rows
    return prediction_intervals(
        {row.name: list(row_values(scale, row, PRIMARY).values()) for row in rows}
    )


def half_interval(values: pd.Series) -> float:
    """Half the 90 % t-interval of the mean; 0 for a single value."""
    if len(values) < 2:
        return 0.0
    low, high = interval(values.to_numpy())
    return (high - low) / 2


def gaps_to_full(found: pd.DataFrame) -> pd.DataFrame:
    """Accuracy at the largest K minus that at each other K, points, paired by seed."""
    wide = found.pivot(index="seed", columns="num_negatives", values="linear")
    full = wide.pop(wide.columns.max())
    gaps = (-wide.sub(full, axis=0)).melt(var_name="k", value_name="points").dropna()
    grouped = gaps.groupby("k")["points"]
    return grouped.agg(points="mean", half=half_interval, n="count").reset_index()
