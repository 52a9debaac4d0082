"""Tables of a user's records beside the committed numbers: `python -m reproductions table`."""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

from eqco.runtime.validation import nearest
from reproductions.experiments.grid import check_tables
from reproductions.harness.options import OPTIONS
from reproductions.reports.grids import row_grid
from reproductions.results.evidence import Evidence, committed
from reproductions.results.records import RECORDS, Records
from reproductions.scales import SCALES
from reproductions.tables.claims import JUDGED
from reproductions.tables.formats import Grid, rendered, spread


def records_in(folder: Path | None, scale: str) -> Records:
    """The records of a scale, whose folder may be named itself or by its parent.

    Without a folder, those of the usual one, else the committed ones.

    Raises:
        ValueError: there is no record.
    """
    if folder is None:
        folder = OPTIONS["records"]["default"]
        folder = folder if Records(folder / scale) else RECORDS
    if not folder.is_dir():
        raise ValueError(f"--records {folder} is no folder: name one that holds records")
    for found in (Records(folder / scale), Records(folder)):
        if found:
            return found
    there = [name for name in SCALES if Records(folder / name)]
    hint = nearest("scale", scale, there) if there else "run pytest reproductions/ first"
    raise ValueError(f"--records {folder} holds no record: {hint}")


def grid_of(own: Evidence, number: int) -> Grid:
    """A table: own numbers by metric, and the committed ones."""
    rows = own.tables[number].rows
    known = [spread(committed(own.scale).values(row).values()) for row in rows]
    grid = row_grid(own, number, {"committed": known}, JUDGED)
    return replace(grid, note="Top-1 in percent, mean ± standard deviation (seeds); – is not run.")


def main(given: argparse.Namespace) -> int:
    """Print tables of the records of a folder.

    Raises:
        ValueError: an option is wrong, or there are no records.
    """
    check_tables(given.tables)
    found = records_in(given.records, given.scale)
    own = Evidence(given.scale, tuple(found.all()))
    if not any(own.of(row) for row, _ in own.rows.values()):
        raise ValueError(
            f"none of the {len(own.records)} records in {found.place} is of a row of a table at "
            f"scale {given.scale}: eqco show {found.place} lists them"
        )
    measured = [n for n, each in own.tables.items() if any(map(own.of, each.rows))]
    print(rendered([grid_of(own, n) for n in given.tables or measured], given.format))
    return 0
