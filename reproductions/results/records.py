"""Committed records as tidy frames, one line a run; figures and pages read these."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, fields, replace
from functools import cache, cached_property, partial
from pathlib import Path

import pandas as pd

from eqco.artifacts.record import Record, RecordError, canonical, record_path
from eqco.config import NUMERICS
from eqco.evaluation.metrics import METRICS
from eqco.losses.registry import LOSSES
from eqco.methods import METHODS
from eqco.recipe import Recipe
from eqco.runtime.files import parse_json
from eqco.runtime.listing import json_files
from reproductions.scales import SCALES
from reproductions.statistics.intervals import prediction_intervals
from reproductions.statistics.verdicts import Verdict, mean_interval
from reproductions.tables import table
from reproductions.tables.base import Claim, Row
from reproductions.tables.claims import PRIMARY, Verdicts, judge_claims

RECORDS = Path(__file__).parents[1] / "records"
LINES = ".jsonl"
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


class Records:
    """Records in a file with one on each line, `NAME.jsonl`, in files of a folder `NAME`, or both.

    Attributes:
        folder: the folder, which need not exist.
        file: the file, which need not exist.
    """

    def __init__(self, place: Path) -> None:
        self.folder = place.with_name(place.name.removesuffix(LINES))
        self.file = self.folder.with_name(self.folder.name + LINES)

    @property
    def place(self) -> Path:
        """What there is, for messages."""
        return self.file if self.file.is_file() and not self.folder.is_dir() else self.folder

    @cached_property
    def lines(self) -> dict[str, Record]:
        """Those of the file by run id.

        Raises:
            RecordError: a line cannot be trusted.
        """
        found = Record.read_lines(self.file) if self.file.is_file() else []
        return {record.run_id: record for record in found}

    def find(self, recipe: Recipe, seed: int) -> Record | None:
        """The record of a run; None where there is none.

        Raises:
            RecordError: it cannot be trusted.
        """
        line = self.lines.get(recipe.run_id(seed))
        return Record.find(self.folder, recipe, seed) if line is None else line

    def __bool__(self) -> bool:
        """Whether there is a file of records at all."""
        return self.file.is_file() or bool(json_files(self.folder))

    def has(self, recipe: Recipe, seed: int) -> bool:
        """Whether there is a record of a run; it is not read."""
        name = recipe.run_id(seed)
        return name in self.lines or record_path(self.folder, recipe, seed).exists()

    def written(self) -> dict[str, str]:
        """The JSON of each record as it was written, canonical, by run id.

        Fields that a recipe got later are not in it, as its checksum wants.
        """
        texts = self.file.read_text(encoding="utf-8").splitlines() if self.file.is_file() else []
        texts += [path.read_text(encoding="utf-8") for path in json_files(self.folder)]
        return {body["run_id"]: canonical(body) for body in map(parse_json, texts)}

    def every(self, skipped: list[str] | None = None) -> list[Record]:
        """Every record, by run id.

        Args:
            skipped: gets a sentence for each file that cannot be trusted; without it, the first
                such file is an error.

        Raises:
            RecordError: a record cannot be trusted.
        """
        readers: list[Callable[[], Iterable[Record]]] = [lambda: self.lines.values()]
        readers += [partial(read_file, path) for path in json_files(self.folder)]
        found: dict[str, Record] = {}
        for read in readers:
            try:
                found |= {record.run_id: record for record in read()}
            except RecordError as error:
                if skipped is None:
                    raise
                skipped.append(str(error))
        return [found[name] for name in sorted(found)]

    def all(self, skipped: list[str] | None = None) -> list[Record]:
        """Every record of today's numerics, by run id; `skipped` tells of others too."""
        found = self.every(skipped)
        kept = [record for record in found if record.numerics == NUMERICS]
        if skipped is not None and (others := len(found) - len(kept)):
            skipped.append(f"{others} of {len(found)} records, of other numerics than {NUMERICS}")
        return kept


def read_file(path: Path) -> list[Record]:
    """The one record of a file, in a list."""
    return [Record.read(path)]


def is_committed(place: Path) -> bool:
    """Whether a place of records is that of committed ones."""
    return place.resolve().parent == RECORDS.resolve()


@cache
def committed_records(scale: str) -> tuple[Record, ...]:
    """Committed records of a scale."""
    return tuple(Records(RECORDS / scale).all())


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


def other_images(scale: str, base: Recipe) -> str:
    """A sentence where a baseline is on other images than the committed records; else ""."""
    known = evidence_base(scale).data
    if base.data in ("folder", known) or runs(scale).empty:  # "folder": none were named
        return ""
    return (
        f"these images are {base.data}, the committed records are of {known}: they tell nothing of "
        "yours"
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
    return judge_claims(
        table(number, scale, base or evidence_base(scale)),
        lambda row, metric: row_values(scale, row, metric),
    )


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
    """Half the 95 % t-interval of the mean; 0 for a single value."""
    if len(values) < 2:
        return 0.0
    low, high = mean_interval(values.to_numpy())
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
