"""Tables of a user's records beside the committed numbers: `python -m reproductions table`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import pandas as pd

from eqco.runtime.files import write_atomically
from reproductions.experiments.grid import check_tables
from reproductions.harness.options import OPTIONS
from reproductions.reports.grids import claim_grid, row_grid
from reproductions.results.evidence import Evidence, committed
from reproductions.results.records import RECORDS, Records
from reproductions.results.tidy import FRAMES
from reproductions.scales import SCALES
from reproductions.statistics.wording import INTERVAL
from reproductions.tables.claims import JUDGED
from reproductions.tables.formats import FORMATS, Grid, rendered, spread


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
    others = f"there are some of {', '.join(there)}, and " if there else ""
    raise ValueError(
        f"{folder} holds no record of scale {scale}: {others}pytest reproductions/ --scale {scale} "
        "makes them"
    )


def cell_grid(own: Evidence, number: int) -> Grid:
    """A table: own numbers by metric, and the committed ones where these are others."""
    rows, other = own.tables[number].rows, committed(own.scale)
    known = [spread(other.values(row).values()) for row in rows]
    same = all(own.values(row) == other.values(row) for row in rows)
    grid = row_grid(own, number, {} if same else {"committed": known}, JUDGED)
    return replace(grid, note="Top-1 in percent, mean ± standard deviation (seeds); – is not run.")


def short_claims(own: Evidence, number: int) -> Grid:
    """Claims of a table by the linear probe: difference, interval, n and verdict."""
    frame = claim_grid(own, number).frame
    several = frame["method"].nunique() > 1
    frame["difference"] = frame["difference"] + (": " + frame["method"] if several else "")
    title = f"Claims of table {number}, scale {own.scale}"
    shown = frame[["difference", INTERVAL, "n", "verdict"]]
    return Grid(shown, (INTERVAL, "n"), title, "Intervals decide; see the page of tables.")


def as_text(own: Evidence, numbers: Sequence[int], what: str, form: str) -> str:
    """Tables for readers, a grid each; or one frame, as CSV or JSON, of one object a line.

    Raises:
        ValueError: runs are asked for as a table for readers.
    """
    if form in TIDY:
        frame = FRAMES[what](own, numbers)
        return TIDY[form](frame)
    if what == "runs":
        raise ValueError(f"--format {form} is for readers: take csv, json or parquet for runs")
    grid = {"cells": cell_grid, "claims": short_claims}[what]
    return rendered([grid(own, number) for number in numbers], form)


def as_parquet(frame: pd.DataFrame) -> bytes:
    """A frame as Parquet.

    Raises:
        ValueError: pyarrow is not installed.
    """
    if find_spec("pyarrow") is None:
        raise ValueError("--format parquet needs pyarrow: pip install pyarrow, or take csv or json")
    return frame.to_parquet(index=False)


TIDY: dict[str, Callable[[pd.DataFrame], str]] = {
    "csv": lambda frame: frame.to_csv(index=False).rstrip("\n"),
    "json": lambda frame: frame.to_json(orient="records", force_ascii=False, double_precision=15),
}
FORMS = (*FORMATS, *TIDY, "parquet")
ENDINGS = {f".{name}": name for name in FORMS} | {".tex": "latex", ".txt": "text"}


def main(given: argparse.Namespace) -> int:
    """Print or write tables of the records of a folder.

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
    what = "runs" if given.runs else "claims" if given.claims else "cells"
    numbers = given.tables or [n for n, t in own.tables.items() if any(map(own.of, t.rows))]
    readable = "text" if given.out is None and sys.stdout.isatty() else "md"
    named = ENDINGS.get(given.out.suffix) if given.out else None
    form = given.format or named or ("csv" if given.runs else readable)
    if form == "parquet":
        if given.out is None:
            raise ValueError("--format parquet is no text: add --out FILE")
        write_atomically(given.out, as_parquet(FRAMES[what](own, numbers)))
    elif given.out is None:
        print(as_text(own, numbers, what, form))
    else:
        write_atomically(given.out, as_text(own, numbers, what, form) + "\n")
    return 0
