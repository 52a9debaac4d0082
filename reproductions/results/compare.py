"""Where two folders of records differ beyond seeds: `python -m reproductions compare A B`.

The spread over seeds is pooled over all recipes of both folders; a difference of means is tested
by Student's t with that spread, two-sided, at 5 % with Bonferroni's correction over the recipes.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from eqco.artifacts.record import Record
from reproductions.results.records import Records
from reproductions.statistics.verdicts import LEVEL
from reproductions.statistics.wording import short_p
from reproductions.tables.claims import PRIMARY
from reproductions.tables.formats import Grid, to_text

Runs = dict[str, dict[int, Record]]  # by the recipe's digest under today's numerics, then by seed
PROVENANCE = ("device", "device_type", "threads", "processes", "compile", "python", "commit")


def read_runs(place: Path) -> Runs:
    """The records of a folder or of a file with one on each line, whatever their numerics.

    Raises:
        ValueError: there is no record.
    """
    records = Records(place).every()
    if not records:
        raise ValueError(
            f"{place} holds no record: name a folder of records, such as records/SCALE, or a file "
            "with one on each line, such as SCALE.jsonl"
        )
    return by_recipe(records)


def by_recipe(records: Iterable[Record]) -> Runs:
    """Records by recipe and seed."""
    found: Runs = {}
    for record in records:
        found.setdefault(record.recipe.digest(), {})[record.seed] = record
    return found


@dataclass(frozen=True)
class Difference:
    """A recipe in both folders.

    Attributes:
        name: its run's name without the seed.
        counts: seeds in A and in B.
        means: accuracies, percent.
        equal: seeds that both have, with the very same metrics.
        shared: seeds that both have.
        p: of equal means, corrected; nan where the spread is unknown.
    """

    name: str
    counts: tuple[int, int]
    means: tuple[float, float]
    equal: int
    shared: int
    p: float = math.nan

    @property
    def points(self) -> float:
        """B minus A."""
        return self.means[1] - self.means[0]

    @property
    def differs(self) -> bool:
        """Whether the means differ beyond seeds."""
        return self.p < 1 - LEVEL


def values_of(runs: dict[int, Record]) -> np.ndarray:
    """Accuracies of the records that have one, percent."""
    return np.array([r.metrics[PRIMARY] for r in runs.values() if PRIMARY in r.metrics])


def pooled_spread(groups: Sequence[np.ndarray]) -> tuple[float, int]:
    """Standard deviation within groups and its degrees of freedom; nan and 0 where unknown."""
    freedom = sum(len(group) - 1 for group in groups if len(group))
    if not freedom:
        return math.nan, 0
    squares = sum(float(((group - group.mean()) ** 2).sum()) for group in groups if len(group))
    return math.sqrt(squares / freedom), freedom


def p_value(left: np.ndarray, right: np.ndarray, sd: float, freedom: int) -> float:
    """Two-sided p of equal means with a known spread; 1 or 0 where the spread is none at all."""
    difference = abs(float(left.mean() - right.mean()))
    if sd == 0:
        return 1.0 if difference == 0 else 0.0
    error = sd * math.sqrt(1 / len(left) + 1 / len(right))
    return float(2 * stats.t.sf(difference / error, freedom)) if freedom else math.nan


def differences(a: Runs, b: Runs) -> list[Difference]:
    """The recipes with accuracies in both folders, the surest difference first."""
    both = [(d, values_of(a[d]), values_of(b[d])) for d in a if d in b]
    both = [case for case in both if len(case[1]) and len(case[2])]
    sd, freedom = pooled_spread([values for case in both for values in case[1:]])
    raw = [p_value(left, right, sd, freedom) for _, left, right in both]
    corrected = [min(1.0, p * len(raw)) for p in raw] if freedom else raw
    made = []
    for (digest, left, right), p in zip(both, corrected, strict=True):
        shared = a[digest].keys() & b[digest].keys()
        equal = sum(a[digest][seed].metrics == b[digest][seed].metrics for seed in shared)
        name = next(iter(a[digest].values())).run_id.rpartition("-s")[0]
        means = (float(left.mean()), float(right.mean()))
        made.append(Difference(name, (len(left), len(right)), means, equal, len(shared), p))
    return sorted(made, key=lambda each: (each.p, -abs(each.points)))


def origins(records: Iterable[Record]) -> dict[str, set[str]]:
    """Where and how runs were made: the values of each field."""
    found: dict[str, set[str]] = {}
    for record in records:
        machine: dict[str, Any] = record.machine
        given = {name: machine.get(name) for name in PROVENANCE}
        fields = {name: "–" if value is None else value for name, value in given.items()}
        fields |= machine.get("versions", {})
        fields |= {"numerics": record.numerics, "data": record.data_fingerprint}
        for name, value in fields.items():
            short = str(value)[:10] if name == "commit" else str(value)
            found.setdefault(name, set()).add(short)
    return found


def origin_lines(a: Runs, b: Runs) -> list[str]:
    """Fields of the origin that differ between the folders."""
    left, right = (origins(r for seeds in x.values() for r in seeds.values()) for x in (a, b))
    return [
        f"  {name}: {', '.join(sorted(left.get(name, {'–'})))} | "
        f"{', '.join(sorted(right.get(name, {'–'})))}"
        for name in sorted(left.keys() | right.keys())
        if left.get(name) != right.get(name)
    ]


def compare(a: Runs, b: Runs) -> list[str]:
    """The comparison as lines."""
    found = differences(a, b)
    counts = [sum(map(len, runs.values())) for runs in (a, b)]
    cells = [
        {
            "recipe": each.name,
            "A": f"{each.means[0]:.2f} ({each.counts[0]})",
            "B": f"{each.means[1]:.2f} ({each.counts[1]})",
            "B - A": f"{each.points:+.2f}",
            "p": short_p(each.p),
            "": "differs" if each.differs else "",
        }
        for each in found
    ]
    lines = [
        f"A: {counts[0]} runs of {len(a)} recipes; B: {counts[1]} runs of {len(b)}; "
        f"{len(a.keys() & b.keys())} recipes in both",
        to_text(Grid(pd.DataFrame(cells), ("A", "B", "B - A", "p"))),
    ]
    many, same = sum(each.differs for each in found), sum(each.equal for each in found)
    shared = sum(each.shared for each in found)
    lines.append(f"{many} of {len(found)} recipes differ beyond seeds, at {1 - LEVEL:.0%}")
    lines.append(f"{same} of {shared} runs of the same recipe and seed have equal metrics")
    for label, runs, others in (("A", a, b), ("B", b, a)):
        alone = [next(iter(seeds.values())).run_id for d, seeds in runs.items() if d not in others]
        if alone:
            more = f" and {len(alone) - 5} more" if len(alone) > 5 else ""
            lines.append(f"only in {label}: {', '.join(sorted(alone)[:5])}{more}")
    where = origin_lines(a, b)
    return [*lines, *(["they were made differently (A | B):", *where] if where else [])]


def main(given: argparse.Namespace) -> int:
    """Print where two folders differ; status 1 where a recipe differs beyond seeds.

    Raises:
        ValueError: a folder holds no records.
    """
    a, b = read_runs(given.a), read_runs(given.b)
    print("\n".join(compare(a, b)))
    return int(any(each.differs for each in differences(a, b)))
