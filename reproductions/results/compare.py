"""Where two folders of records differ beyond seeds: `python -m reproductions compare A B`.

The spread over seeds is pooled over all recipes of both folders; a difference of means is tested
by Student's t with that spread, two-sided, at 5 % with Bonferroni's correction over the recipes.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Iterable, Sequence
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

PROVENANCE = ("device", "device_type", "threads", "processes", "compile", "python", "commit")
NAMED = 5  # recipes of one folder alone that are named


def read_runs(place: Path) -> list[Record]:
    """The records of a folder or of a file with one on each line, whatever their numerics.

    Raises:
        ValueError: there is no record.
    """
    records = Records(place).all_numerics()
    if not records:
        raise ValueError(
            f"{place} holds no record: name a folder of records, such as records/SCALE, or a file "
            "with one on each line, such as SCALE.jsonl"
        )
    return records


def recipe_name(record: Record) -> str:
    """A recipe's name under today's numerics: that of its runs without the seed."""
    return record.recipe.run_id(0).removesuffix("-s0")


def accuracies(records: Iterable[Record]) -> pd.DataFrame:
    """Mean, count and variance over seeds by recipe, percent; records without one are left out."""
    lines = [(recipe_name(r), r.metrics[PRIMARY]) for r in records if PRIMARY in r.metrics]
    grouped = pd.DataFrame(lines, columns=["recipe", "accuracy"]).groupby("recipe")["accuracy"]
    return grouped.agg(["mean", "count", "var"])


def differences(a: Iterable[Record], b: Iterable[Record]) -> pd.DataFrame:
    """The recipes with accuracies in both folders, the surest difference first.

    Columns: mean, count and var of each folder, points (B minus A), and the corrected p of equal
    means, nan where no recipe has two seeds.
    """
    frame = accuracies(a).add_suffix(" A").join(accuracies(b).add_suffix(" B"), how="inner")
    n_a, n_b = frame["count A"], frame["count B"]
    squares = (frame["var A"] * (n_a - 1)).sum() + (frame["var B"] * (n_b - 1)).sum()
    freedom = (n_a + n_b - 2).sum() or math.nan
    error = np.sqrt(squares / freedom * (1 / n_a + 1 / n_b))
    frame["points"] = frame["mean B"] - frame["mean A"]
    ratio = (frame["points"].abs() / error).fillna(0)  # 0 / 0: without any spread, equal is equal
    frame["p"] = np.minimum(1, len(frame) * 2 * stats.t.sf(ratio, freedom))
    return frame.iloc[np.lexsort((-frame["points"].abs(), frame["p"]))]


def origins(records: Iterable[Record]) -> dict[str, set[str]]:
    """Where and how runs were made: the values of each field."""
    values: dict[str, set[str]] = {}
    for record in records:
        machine: dict[str, Any] = record.machine
        provenance = {name: machine.get(name) for name in PROVENANCE}
        fields = {name: "–" if value is None else value for name, value in provenance.items()}
        fields |= machine.get("versions", {})
        fields |= {"numerics": record.numerics, "data": record.data_fingerprint}
        for name, value in fields.items():
            short = str(value)[:10] if name == "commit" else str(value)
            values.setdefault(name, set()).add(short)
    return values


def origin_lines(a: Iterable[Record], b: Iterable[Record]) -> list[str]:
    """Fields of the origin that differ between the folders."""
    origins_a, origins_b = origins(a), origins(b)
    return [
        f"  {name}: {', '.join(sorted(origins_a.get(name, {'–'})))} | "
        f"{', '.join(sorted(origins_b.get(name, {'–'})))}"
        for name in sorted(origins_a.keys() | origins_b.keys())
        if origins_a.get(name) != origins_b.get(name)
    ]


def compare(a: Sequence[Record], b: Sequence[Record]) -> list[str]:
    frame, names = differences(a, b), [set(map(recipe_name, records)) for records in (a, b)]
    differs = frame["p"] < 1 - LEVEL
    cells = {
        "recipe": frame.index,
        "A": frame["mean A"].map("{:.2f}".format) + frame["count A"].map(" ({})".format),
        "B": frame["mean B"].map("{:.2f}".format) + frame["count B"].map(" ({})".format),
        "B - A": frame["points"].map("{:+.2f}".format),
        "p": frame["p"].map(short_p),
        "": differs.map({True: "differs", False: ""}),
    }
    metrics = {(record.recipe, record.seed): record.metrics for record in a}
    repeats = [r.metrics == metrics[r.recipe, r.seed] for r in b if (r.recipe, r.seed) in metrics]
    lines = [
        f"A: {len(a)} runs of {len(names[0])} recipes; B: {len(b)} runs of {len(names[1])}; "
        f"{len(names[0] & names[1])} recipes in both",
        to_text(Grid(pd.DataFrame(cells), ("A", "B", "B - A", "p"))),
        f"{differs.sum()} of {len(frame)} recipes differ beyond seeds, at {1 - LEVEL:.0%}",
        f"{sum(repeats)} of {len(repeats)} runs of the same recipe and seed have equal metrics",
    ]
    for label, alone in (("A", names[0] - names[1]), ("B", names[1] - names[0])):
        if alone:
            more = f" and {len(alone) - NAMED} more" if len(alone) > NAMED else ""
            lines.append(f"only in {label}: {', '.join(sorted(alone)[:NAMED])}{more}")
    differing = origin_lines(a, b)
    return [*lines, *(["they were made differently (A | B):", *differing] if differing else [])]


def main(args: argparse.Namespace) -> int:
    """Print where two folders differ; status 1 where a recipe differs beyond seeds.

    Raises:
        ValueError: a folder holds no records.
    """
    a, b = read_runs(args.a), read_runs(args.b)
    print("\n".join(compare(a, b)))
    return int((differences(a, b)["p"] < 1 - LEVEL).any())
