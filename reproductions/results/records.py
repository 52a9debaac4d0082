"""Committed records as tidy frames, one line a run; figures and pages read these."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, fields, replace
from functools import cache
from pathlib import Path

import pandas as pd

from eqco.artifacts.record import Record
from eqco.evaluation.metrics import METRICS
from eqco.losses.functional import LOSSES
from eqco.methods import METHODS
from eqco.recipe import Recipe
from reproductions.scales import SCALES
from reproductions.statistics.intervals import prediction_intervals
from reproductions.statistics.verdicts import Verdict, interval
from reproductions.tables import table
from reproductions.tables.base import Claim, Row
from reproductions.tables.claims import PRIMARY, Verdicts, judge_claims

# Records of numerics 1 stay in records/v1 as history: their recipes are those of no row of today.
EVIDENCE_NUMERICS = 2
RECORDS = Path(__file__).parents[1] / "records"
HISTORY = RECORDS / "v1"
UNTRAINED = "untrained"
DIAGNOSTICS = ("cv2", "one_minus_pi0", "rho2_cv2")
OTHER_COLUMNS = ("digest", "seed", "loss_title", "method_title", "seconds", *DIAGNOSTICS)


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
    """Committed records of a scale as a frame; empty, with all columns, where there are none."""
    found = frame(committed_records(scale))
    needed = [*(each.name for each in fields(Recipe)), *OTHER_COLUMNS, *METRICS]
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


def shown_scales(first: str = "glyphs") -> list[str]:
    """Scales that pages show: the first one in any case, others where they have records."""
    return [first, *(name for name in judged_scales() if name != first)]


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


def judge_claim(number: int, scale: str, claim: Claim, metric: str = PRIMARY) -> Verdict | None:
    """Verdict of the committed records on a table's claim; None where a row has none."""
    return verdicts(number, scale)[claim.name].get(metric)


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


def gaps_to_full(found: pd.DataFrame, full: int) -> pd.DataFrame:
    """Accuracy with all `full` negatives minus that at each other K, points, paired by seed.

    Empty where no seed has a run with all of them.
    """
    wide = found.pivot(index="seed", columns="num_negatives", values="linear").astype(float)
    most = wide[full] if full in wide else pd.Series(dtype=float)
    below = wide[[k for k in wide if k != full]]
    gaps = (-below.sub(most, axis=0)).melt(var_name="k", value_name="points").dropna()
    gaps = gaps.astype({"k": int})
    grouped = gaps.groupby("k")["points"]
    return grouped.agg(points="mean", half=half_interval, n="count").reset_index()


def lost_against(found: pd.DataFrame, full: str) -> pd.DataFrame:
    """Runs of a table with `points`: the accuracy of row `full`, same seed, minus their own.

    Without the runs of that row; nan where it has none of the seed.
    """
    most = by_seed(found[found["row"] == full])
    found = found[found["row"] != full]
    return found.assign(points=found["seed"].map(most).astype(float) - found["linear"])
