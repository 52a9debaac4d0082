"""Records of a scale, read from any folder, and what they say of its tables."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from eqco.artifacts.record import Record
from eqco.recipe import Recipe
from reproductions import tables
from reproductions.results import records
from reproductions.results.records import Records
from reproductions.scales import SCALES
from reproductions.statistics.intervals import prediction_intervals
from reproductions.tables import TABLES
from reproductions.tables.base import Row, Table
from reproductions.tables.claims import PRIMARY, Verdicts, judge_claims


@dataclass(frozen=True)
class Evidence:
    """Records of a scale.

    Attributes:
        scale: a name in `reproductions.scales.SCALES`.
        records: by name; all of today's numerics.
        skipped: sentences on files that are not among them.
    """

    scale: str
    records: tuple[Record, ...]
    skipped: tuple[str, ...] = ()

    @property
    def base(self) -> Recipe:
        """The baseline, with the data of the records where users bring it, and their precision."""
        base = SCALES[self.scale].base
        if base.data == "folder" and self.records:
            base = replace(base, data=self.records[0].recipe.data)
        precisions = {record.recipe.precision for record in self.records}
        return replace(base, precision=precisions.pop()) if len(precisions) == 1 else base

    @cached_property
    def by_recipe(self) -> Mapping[Recipe, dict[int, Record]]:
        """Records by seed, by recipe."""
        found: dict[Recipe, dict[int, Record]] = {}
        for record in sorted(self.records, key=lambda each: each.seed):
            found.setdefault(record.recipe, {})[record.seed] = record
        return found

    @cached_property
    def tables(self) -> dict[int, Table]:
        """All tables by number."""
        return {number: tables.table(number, self.scale, self.base) for number in TABLES}

    @cached_property
    def rows(self) -> dict[Recipe, tuple[Row, list[int]]]:
        """Each recipe of the tables once: its first row, and the numbers of its tables."""
        found: dict[Recipe, tuple[Row, list[int]]] = {}
        for number, each in self.tables.items():
            for row in each.rows:
                found.setdefault(row.recipe, (row, []))[1].append(number)
        return found

    def of(self, row: Row) -> dict[int, Record]:
        """Records of a row by seed."""
        return self.by_recipe.get(row.recipe, {})

    def values(self, row: Row, metric: str = PRIMARY) -> dict[int, float]:
        """The metric of a row by seed, percent; runs without it are left out."""
        pairs = self.of(row).items()
        return {s: float(r.metrics[metric]) for s, r in pairs if metric in r.metrics}

    @cached_property
    def verdicts(self) -> dict[int, dict[str, Verdicts]]:
        """Verdicts on the claims of each table, by claim, then by metric."""
        return {n: judge_claims(each, self.values) for n, each in self.tables.items()}

    def predictions(self, number: int) -> dict[str, tuple[float, float]]:
        """Where a new run of each row of a table falls, percent; rows of one seed are left out."""
        rows = self.tables[number].rows
        return prediction_intervals({row.name: list(self.values(row).values()) for row in rows})


def committed(scale: str) -> Evidence:
    """Committed records of a scale."""
    return Evidence(scale, tuple(records.committed_records(scale)))


def read(folder: Path, scale: str) -> Evidence:
    """Records of a scale in `folder/scale` and `folder/scale.jsonl`.

    Files that cannot be trusted and records of other numerics are left out, each with a sentence.
    """
    skipped: list[str] = []
    found = Records(folder / scale).all(skipped)
    return Evidence(scale, tuple(found), tuple(skipped))


def read_all(folder: Path) -> list[Evidence]:
    """Evidence of every scale at which claims are judged, also of those without records."""
    return [read(folder, name) for name, scale in SCALES.items() if scale.evidence]
