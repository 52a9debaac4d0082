"""Tables of a user's records beside the committed numbers: `python -m reproductions table`."""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

import pandas as pd

from eqco.artifacts.record import Record
from eqco.runtime.validation import nearest
from reproductions.experiments.grid import check_tables
from reproductions.formats import Grid, rendered, spread
from reproductions.harness.session import recorded_base
from reproductions.results import records
from reproductions.results.published import shown
from reproductions.results.records import Records
from reproductions.scales import SCALES
from reproductions.tables import TABLES, table
from reproductions.tables.base import Row, Table

METRIC_TITLES = {"linear": "linear %", "knn": "kNN %"}


def records_in(folder: Path, scale: str) -> Records:
    """The records of a scale, whose folder may be named itself or by its parent.

    Raises:
        ValueError: there is no record.
    """
    if not folder.is_dir():
        raise ValueError(f"--records {folder} is no folder: name one that holds records")
    for found in (Records(folder / scale), Records(folder)):
        if found:
            return found
    there = [name for name in SCALES if Records(folder / name)]
    hint = nearest("scale", scale, there) if there else "run pytest reproductions/ first"
    raise ValueError(f"--records {folder} holds no record: {hint}")


def own_values(found: list[Record], row: Row, metric: str) -> list[float]:
    """A metric of a row's records, in order of their seeds."""
    own = [each for each in found if each.recipe == row.recipe and metric in each.metrics]
    return [each.metrics[metric] for each in sorted(own, key=lambda each: each.seed)]


def grid_of(number: int, scale: str, found: list[Record], own: Table) -> Grid:
    """A table: own numbers by metric, the committed ones, and published ones at the paper's scale.

    Args:
        number: of the table.
        scale: of the records.
        found: all records of the folder.
        own: the table on the data of the records.
    """
    recipes = [row.recipe for row in own.rows]
    columns = {
        "method": [recipe.method for recipe in recipes],
        "loss": [row.title for row in own.rows],
        "K": [str(recipe.num_negatives) for recipe in recipes],
    }
    if len({recipe.alpha for recipe in recipes} - {None}) > 1:
        columns["alpha"] = [f"{recipe.alpha:g}" if recipe.alpha else "" for recipe in recipes]
    for metric, title in METRIC_TITLES.items():
        columns[title] = [spread(own_values(found, row, metric)) for row in own.rows]
    committed = (records.row_values(scale, row).values() for row in own.rows)
    columns["committed linear %"] = list(map(spread, committed))
    if SCALES[scale].paper:
        columns["published %"] = [shown(number, row.name) for row in own.rows]
    note = "Mean ± standard deviation (seeds); – is not run."
    title = f"Table {number}: {own.title}, scale {scale}"
    return Grid(pd.DataFrame(columns), columns.keys() - {"method", "loss"}, title, note)


def is_measured(grid: Grid) -> bool:
    """Whether any row of a table has a number of the user's own."""
    return bool(grid.frame[METRIC_TITLES["linear"]].ne(spread([])).any())


def main(given: argparse.Namespace) -> int:
    """Print tables of the records of a folder.

    Raises:
        ValueError: an option is wrong, or there are no records.
    """
    check_tables(given.tables)
    own, scale = records_in(given.records, given.scale), SCALES[given.scale]
    base = recorded_base(own, scale) if scale.needs_folder else scale.base
    found = own.all()
    precisions = {each.recipe.precision for each in found}
    if len(precisions) == 1:
        base = replace(base, precision=precisions.pop())
    grids = [
        grid_of(number, given.scale, found, table(number, given.scale, base))
        for number in given.tables or TABLES
    ]
    known = {row.recipe for n in TABLES for row in table(n, given.scale, base).rows}
    if not any(record.recipe in known for record in found):
        raise ValueError(
            f"none of the {len(found)} records in {own.place} is of a row of a table at scale "
            f"{given.scale}: eqco show {own.place} lists them"
        )
    measured = [grid for grid in grids if given.tables or is_measured(grid)]
    print(rendered(measured, given.format))
    return 0
