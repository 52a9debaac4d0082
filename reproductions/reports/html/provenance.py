"""Where each row's numbers come from: its difference to the base, machine, commit, time."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from statistics import median
from typing import Any

from eqco.artifacts.record import Record
from eqco.config import NUMERICS
from eqco.engine.progress import duration
from eqco.recipe import Recipe
from reproductions.results.report_records import Evidence

OF_MACHINE = ("device", "threads", "processes", "compile", "python", "system", "versions")


def differences(recipe: Recipe, base: Recipe) -> list[str]:
    """Fields in which a recipe differs from the base: `num_negatives = 16`."""
    own, usual = asdict(recipe), asdict(base)
    shown = {name: value for name, value in own.items() if value != usual[name]}
    return [
        f"{name} = {format(value, 'g') if type(value) is float else value}"
        for name, value in shown.items()
    ]


def wall_time(records: Iterable[Record]) -> list[float]:
    """Seconds of training and probe of each run; runs that do not tell are left out."""
    return [r.seconds["train"] + r.seconds["probe"] for r in records if r.seconds]


def marks(records: Iterable[Record]) -> list[str]:
    """Why records may not be what today's code gives; empty where nothing is known against them."""
    records = list(records)
    stale = sorted({r.numerics for r in records if r.numerics != NUMERICS})
    found = [f"stale: numerics {number}, today {NUMERICS}" for number in stale]
    if any(record.machine.get("dirty") for record in records):
        found.append("made from changed files")
    if any(record.machine.get("commit", "") is None for record in records):
        found.append("of an unknown commit")
    return found


class Machines:
    """Machines with their library versions, numbered in the order in which they are met."""

    def __init__(self) -> None:
        self.known: dict[str, dict[str, Any]] = {}

    def name(self, record: Record) -> str:
        """`M1` for the machine of a record."""
        found = {name: record.machine.get(name, "unknown") for name in OF_MACHINE}
        key = json.dumps(found, sort_keys=True, default=str)
        self.known.setdefault(key, found)
        return f"M{list(self.known).index(key) + 1}"

    def lines(self) -> list[dict[str, str]]:
        """Each machine as texts by name, with its libraries in one text."""
        found = []
        for number, each in enumerate(self.known.values(), 1):
            versions = each["versions"]
            pairs = versions.items() if hasattr(versions, "items") else [("versions", versions)]
            texts = {name: str(each[name]) for name in OF_MACHINE}
            texts["versions"] = ", ".join(f"{name} {version}" for name, version in pairs)
            found.append({"name": f"M{number}", **texts})
        return found


@dataclass(frozen=True)
class Origin:
    """Where the runs of a row come from.

    Attributes:
        row: its name, in the first of its tables.
        tables: numbers of the tables that have it.
        differences: to the scale's base.
        seeds: of its runs.
        machines, commits: of its runs, each once.
        seconds: median wall time of a run; None where no run tells.
        ended: first and last day.
        marks: see `marks`.
        notes: of its records.
    """

    row: str
    tables: list[int]
    differences: list[str]
    seeds: list[int]
    machines: list[str]
    commits: list[str]
    seconds: float | None
    ended: tuple[str, str]
    marks: list[str]
    notes: list[str]

    @property
    def time(self) -> str:
        """The wall time in words."""
        return "–" if self.seconds is None else duration(self.seconds)


def distinct(texts: Iterable[str]) -> list[str]:
    """Each text once, in order, without empty ones."""
    return [text for text in dict.fromkeys(texts) if text]


def origins(evidence: Evidence, machines: Machines) -> list[Origin]:
    """A line for each recipe of the tables with records; adds their machines to `machines`."""
    found = []
    for recipe, (row, numbers) in evidence.rows.items():
        records = list(evidence.of(row).values())
        if not records:
            continue
        days, seconds = sorted(r.ended[:10] for r in records), wall_time(records)
        found.append(
            Origin(
                row.name,
                numbers,
                differences(recipe, evidence.base),
                [r.seed for r in records],
                distinct(machines.name(r) for r in records),
                distinct((r.machine.get("commit") or "")[:10] for r in records),
                median(seconds) if seconds else None,
                (days[0], days[-1]),
                marks(records),
                distinct(r.note for r in records),
            )
        )
    return found
