"""What was not run, with the command that runs it and its price."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from eqco.engine.progress import duration
from eqco.recipe import Recipe
from reproductions.experiments.missing import price_by, table_command
from reproductions.experiments.plan import Price
from reproductions.results.report_records import Evidence
from reproductions.scales import SCALES
from reproductions.statistics.verdicts import LEAST_SEEDS


@dataclass(frozen=True)
class Missing:
    """The missing runs of a table.

    Attributes:
        scale, table, title: which.
        runs: how many, of `wanted`.
        wanted: runs of the table.
        rows: names of the rows that lack seeds.
        command: runs them.
        hours: of one device; None where no price is known.
        price: in words.
    """

    scale: str
    table: int
    title: str
    runs: int
    wanted: int
    rows: list[str]
    command: str
    hours: float | None
    price: str


def price_of(evidence: Evidence) -> Price | None:
    """Price of a run of the scale."""
    return price_by(evidence.records, evidence.scale)


def seeds_wanted(evidence: Evidence) -> int:
    """As many seeds as the fullest row has, three at least."""
    counts = [len(evidence.by_recipe.get(recipe, {})) for recipe in evidence.rows]
    return max([LEAST_SEEDS, *counts])


def command(number: int, scale: str, seeds: int, folder: Path | None) -> str:
    """The command that runs a table; `folder` is that of the records, None for the usual one."""
    records = "" if folder is None else f" --records {shlex.quote(str(folder))}"
    return f"{table_command(number, scale)} --seeds {seeds}{records}"


def told(scale: str, price: Price | None, hours: float | None) -> str:
    """A price in words."""
    if price is None or hours is None:
        return f"a run: {SCALES[scale].run.split(':')[0]}"
    return f"{hours:,.0f} GPU-hours" if SCALES[scale].paper else duration(3600 * hours)


def origins(found: Sequence[Evidence]) -> dict[str, str]:
    """Where the prices of scales come from, by scale; those without a price are left out."""
    prices = {each.scale: price_of(each) for each in found}
    return {scale: price.origin for scale, price in prices.items() if price}


def missing(evidence: Evidence, folder: Path | None) -> list[Missing]:
    """Tables of a scale that lack runs."""
    price, seeds, found = price_of(evidence), seeds_wanted(evidence), []
    for number, table in evidence.tables.items():
        lacking: dict[Recipe, int] = {}
        for row in table.rows:
            lacking[row.recipe] = max(0, seeds - len(evidence.of(row)))
        runs = sum(lacking.values())
        if not runs:
            continue
        hours = sum(n * price.hours(recipe) for recipe, n in lacking.items()) if price else None
        found.append(
            Missing(
                evidence.scale,
                number,
                table.title,
                runs,
                seeds * len(lacking),
                [row.name for row in table.rows if lacking[row.recipe]],
                command(number, evidence.scale, seeds, folder),
                hours,
                told(evidence.scale, price, hours),
            )
        )
    return found
