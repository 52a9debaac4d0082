"""What the records of a scale say: values of rows, verdicts on claims, tidy frames of runs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from functools import cache, cached_property, partial
from pathlib import Path

import pandas as pd

from eqco.artifacts.record import Record
from eqco.evaluation.metrics import METRICS
from eqco.losses.registry import LOSSES
from eqco.methods import METHODS
from eqco.recipe import Recipe
from reproductions import tables
from reproductions.results.records import Records, committed_records
from reproductions.scales import SCALES, Scale
from reproductions.statistics.intervals import prediction_intervals
from reproductions.statistics.verdicts import mean_interval
from reproductions.tables import TABLES
from reproductions.tables.base import Claim, Row, Table
from reproductions.tables.claims import PRIMARY, Verdicts, judge_claims

UNTRAINED = "untrained"
NEGATIVE_WEIGHT = "one_minus_pi0"  # 1 - pi_0, to which the mean gradient is proportional
DIAGNOSTICS = ("cv2", "one_minus_pi0", "rho2_cv2")
OTHER_COLUMNS = ("digest", "seed", "loss_title", "method_title", "seconds", *DIAGNOSTICS)


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


def user_baseline(scale: Scale, records: Sequence[Record], place: object) -> Recipe:
    """The baseline of a scale with the data of some records, which users may have brought.

    Raises:
        ValueError: the records are of several data sets; the sentence names their place.
    """
    names = sorted({record.recipe.data for record in records})
    if len(names) > 1:
        raise ValueError(
            f"{place} has records of {' and '.join(names)}: name the one to judge with --data, or "
            "keep the others in a folder of their own"
        )
    return replace(scale.base, data=names[0]) if names else scale.base


@dataclass(frozen=True, eq=False)
class Evidence:
    """Records of a scale.

    Attributes:
        scale: a name in `reproductions.scales.SCALES`.
        records: by name; all of today's numerics.
        skipped: sentences on files that are not among them.
        other: a baseline on other images than those of the records; its tables are judged.
        planned: seeds at which claims are judged; those of each table by default.
    """

    scale: str
    records: tuple[Record, ...]
    skipped: tuple[str, ...] = ()
    other: Recipe | None = None
    planned: int | None = None

    @cached_property
    def base(self) -> Recipe:
        """The baseline, with the data of the records where users bring it, and their precision."""
        if self.other:
            return self.other
        base = user_baseline(SCALES[self.scale], self.records, self.scale)
        precisions = {record.recipe.precision for record in self.records}
        return replace(base, precision=precisions.pop()) if len(precisions) == 1 else base

    @cached_property
    def by_recipe(self) -> Mapping[Recipe, dict[int, Record]]:
        """Records by seed, by recipe."""
        records: dict[Recipe, dict[int, Record]] = {}
        for record in sorted(self.records, key=lambda record: record.seed):
            records.setdefault(record.recipe, {})[record.seed] = record
        return records

    @cached_property
    def tables(self) -> dict[int, Table]:
        """All tables by number."""
        return {number: tables.table(number, self.scale, self.base) for number in TABLES}

    @cached_property
    def rows(self) -> dict[Recipe, tuple[Row, list[int]]]:
        """Each recipe of the tables once: its first row, and the numbers of its tables."""
        rows: dict[Recipe, tuple[Row, list[int]]] = {}
        for number, table in self.tables.items():
            for row in table.rows:
                rows.setdefault(row.recipe, (row, []))[1].append(number)
        return rows

    @property
    def has_planned_row(self) -> bool:
        """Whether a row of a table has its planned seeds: none is shown before.

        The baseline is not enough, as planned experiments run it too.
        """
        rows = ((row, table.planned) for table in self.tables.values() for row in table.rows)
        others = (pair for pair in rows if pair[0].recipe != self.base)
        return any(len(self.records_for(row)) >= planned for row, planned in others)

    def records_for(self, row: Row) -> dict[int, Record]:
        """Records of a row by seed."""
        return self.by_recipe.get(row.recipe, {})

    def values(self, row: Row, metric: str = PRIMARY) -> dict[int, float]:
        """A metric of a row by seed, percent, or a diagnostic; runs without it are left out."""
        records = self.records_for(row).items()
        values = {seed: record.metrics | record.diagnostics for seed, record in records}
        return {seed: float(run[metric]) for seed, run in values.items() if metric in run}

    @cached_property
    def verdicts(self) -> dict[int, dict[str, Verdicts]]:
        """Verdicts on the claims of each table, by claim, then by metric."""
        judge = partial(judge_claims, values=self.values, planned=self.planned)
        return {number: judge(table) for number, table in self.tables.items()}

    def judged(self) -> Iterator[tuple[int, Claim, Verdicts]]:
        """Each claim with the number of its table and its verdicts by metric."""
        for number, table in self.tables.items():
            for claim in table.claims:
                yield number, claim, self.verdicts[number][claim.name]

    def predictions(self, number: int, metric: str = PRIMARY) -> dict[str, tuple[float, float]]:
        """Prediction intervals of a new run by row of a table; rows of one seed are left out.

        `NEGATIVE_WEIGHT` is sharper than a metric: the factor alpha / K changes it, and runs of a
        row differ little in it.
        """
        values = {row.name: self.values(row, metric) for row in self.tables[number].rows}
        return prediction_intervals({name: list(runs.values()) for name, runs in values.items()})

    @cached_property
    def frame(self) -> pd.DataFrame:
        """Every run; empty, with all columns, where there are none."""
        runs = frame(self.records)
        needed = [*(field.name for field in fields(Recipe)), *OTHER_COLUMNS, *METRICS]
        return runs.reindex(columns=[*runs.columns, *(name for name in needed if name not in runs)])

    def runs(self, recipes: Iterable[Recipe]) -> pd.DataFrame:
        """Runs of some recipes."""
        return self.frame[self.frame["digest"].isin([recipe.digest() for recipe in recipes])]

    def table_runs(self, number: int) -> pd.DataFrame:
        """Runs of a table, with `row`, the name of the row that each belongs to."""
        names = {row.recipe.digest(): row.name for row in self.tables[number].rows}
        runs = self.frame[self.frame["digest"].isin(names)]
        runs = runs.assign(scale=self.scale, row=runs["digest"].map(names))
        return runs.sort_values(["row", "seed"])


@cache
def committed(scale: str) -> Evidence:
    return Evidence(scale, committed_records(scale))


def read(folder: Path, scale: str) -> Evidence:
    """Records of a scale in `folder/scale` and `folder/scale.jsonl`.

    Files that cannot be trusted and records of other numerics are left out, each with a sentence.
    """
    skipped: list[str] = []
    records = Records(folder / scale).all(skipped)
    return Evidence(scale, tuple(records), tuple(skipped))


def other_images(scale: str, base: Recipe) -> str:
    """A sentence where a baseline is on other images than the committed records; else ""."""
    records, data = committed(scale).records, committed(scale).base.data
    if not records or base.data in ("folder", data):  # "folder": no images were named
        return ""
    return (
        f"these images are {base.data}, the committed records are of {data} and say nothing about "
        "them"
    )


def judged_scales() -> list[str]:
    """Scales at which claims are judged and a row of the tables is committed with all its seeds."""
    scales = [name for name, scale in SCALES.items() if scale.evidence]
    return [name for name in scales if committed(name).has_planned_row]


def shown_scales() -> list[str]:
    """Scales that pages show: the first one in any case, others where they have records."""
    return list(dict.fromkeys(["glyphs", *judged_scales()]))


def by_seed(runs: pd.DataFrame, metric: str = "linear", **where: object) -> dict[int, float]:
    """The metric of the runs that match and have it, by seed."""
    for name, value in where.items():
        runs = runs[runs[name] == value]
    runs = runs[runs[metric].notna()]
    return dict(zip(runs["seed"].astype(int), runs[metric].astype(float), strict=True))


def half_interval(values: pd.Series) -> float:
    """Half the 95 % t-interval of the mean; 0 for a single value."""
    if len(values) < 2:
        return 0.0
    low, high = mean_interval(values.to_numpy())
    return (high - low) / 2


def gaps_to_full(runs: pd.DataFrame, full: int) -> pd.DataFrame:
    """Accuracy with all `full` negatives minus that at each other K, points, paired by seed.

    Empty where no seed has a run with all of them.
    """
    gaps = lost_against(runs, "num_negatives", full).dropna(subset="points")
    points = gaps.sort_values("seed").groupby("num_negatives")["points"]
    means = points.agg(points="mean", half=half_interval, n="count")
    return means.rename_axis("k").reset_index()


def lost_against(runs: pd.DataFrame, column: str, full: object) -> pd.DataFrame:
    """Runs with `points`: the accuracy of the run that has `full` in a column minus their own.

    Both are of one seed; nan where no such run has it. Without the runs of `full`.
    """
    at_full = by_seed(runs[runs[column] == full])
    runs = runs[runs[column] != full]
    return runs.assign(
        points=runs["seed"].map(at_full).astype(float) - runs["linear"].astype(float)
    )
