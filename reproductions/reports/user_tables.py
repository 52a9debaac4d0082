"""Tables of a user's records beside the committed numbers: `python -m reproductions table`."""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

from eqco.artifacts.record import Record
from eqco.config import NUMERICS
from eqco.runtime.entries import json_files
from eqco.runtime.validation import nearest
from reproductions.experiments.grid import check_tables
from reproductions.harness.session import recorded_base
from reproductions.reports.formats import Grid, rendered
from reproductions.reports.terminal import spread
from reproductions.results import records
from reproductions.results.published import shown
from reproductions.results.records import EVIDENCE_NUMERICS, RECORDS
from reproductions.scales import SCALES
from reproductions.tables import TABLES, table
from reproductions.tables.base import Row, Table

METRIC_TITLES = {"linear": "linear %", "knn": "kNN %"}


def records_in(folder: Path, scale: str) -> tuple[Path, int]:
    """The folder of a scale's records, which may be named itself or by its parent; its numerics.

    Raises:
        ValueError: there is no record.
    """
    if not folder.is_dir():
        raise ValueError(f"--records {folder} is no folder: name one that holds records")
    place = folder / scale if (folder / scale).is_dir() else folder
    numerics = EVIDENCE_NUMERICS if place.resolve() == (RECORDS / scale).resolve() else NUMERICS
    if not json_files(place):
        there = [each.name for each in folder.iterdir() if each.is_dir() and each.name in SCALES]
        hint = nearest("scale", scale, there) if there else "run pytest reproductions/ first"
        raise ValueError(f"--records {place} holds no record: {hint}")
    return place, numerics


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
    with_alpha = len({row.recipe.alpha for row in own.rows} - {None}) > 1
    paper = SCALES[scale].paper
    header = ["method", "loss", "K", *(["alpha"] if with_alpha else []), *METRIC_TITLES.values()]
    header += ["committed linear %", *(["published %"] if paper else [])]
    lines = []
    for row in own.rows:
        recipe = row.recipe
        line = [recipe.method, row.title, str(recipe.num_negatives)]
        line += [f"{recipe.alpha:g}" if recipe.alpha else ""] if with_alpha else []
        line += [spread(own_values(found, row, metric)) for metric in METRIC_TITLES]
        line += [spread(list(records.row_values(scale, row).values()))]
        lines.append((*line, *([shown(number, row.name)] if paper else [])))
    numbers = frozenset(header) - {"method", "loss"}
    note = "Mean ± standard deviation (seeds); – is not run."
    title = f"Table {number}: {own.title}, scale {scale}"
    return Grid(title, tuple(header), tuple(lines), numbers, note)


def is_measured(grid: Grid) -> bool:
    """Whether any row of a table has a number of the user's own."""
    place = grid.header.index(METRIC_TITLES["linear"])
    return any(line[place] != spread([]) for line in grid.lines)


def main(given: argparse.Namespace) -> int:
    """Print tables of the records of a folder.

    Raises:
        ValueError: an option is wrong, or there are no records.
    """
    check_tables(given.tables)
    folder, numerics = records_in(given.records, given.scale)
    scale = SCALES[given.scale]
    base = recorded_base(folder, scale, numerics) if scale.needs_folder else scale.base
    found = Record.read_all(folder, numerics)
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
            f"none of the {len(found)} records in {folder} is of a row of a table at scale "
            f"{given.scale}: eqco show {folder} lists them"
        )
    measured = [grid for grid in grids if given.tables or is_measured(grid)]
    print(rendered(measured, given.format))
    return 0
