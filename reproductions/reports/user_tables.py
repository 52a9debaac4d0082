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
    """The records of a scale; `folder` is that of the scale or its parent.

    None stands for the usual folder, or the committed records where that has none.

    Raises:
        ValueError: there is no record.
    """
    if folder is None:
        folder = OPTIONS["records"]["default"]
        folder = folder if Records(folder / scale) else RECORDS
    if not folder.is_dir():
        raise ValueError(f"--records {folder} is not a folder: name one that holds records")
    for records in (Records(folder / scale), Records(folder)):
        if records:
            return records
    scales = [name for name in SCALES if Records(folder / name)]
    others = f"there are some of {', '.join(scales)}, and " if scales else ""
    raise ValueError(
        f"{folder} holds no record of scale {scale}: {others}pytest reproductions/ --scale {scale} "
        "makes them"
    )


def cell_grid(own: Evidence, number: int) -> Grid:
    """A table: own numbers by metric, and the committed ones where these are others."""
    rows, reference = own.tables[number].rows, committed(own.scale)
    spreads = [spread(reference.values(row).values()) for row in rows]
    same = all(own.values(row) == reference.values(row) for row in rows)
    grid = row_grid(own, number, {} if same else {"committed": spreads}, JUDGED)
    return replace(grid, note="Top-1 in percent, mean ± standard deviation (seeds); – is not run.")


def short_claims(own: Evidence, number: int) -> Grid:
    """Claims of a table by the linear probe: difference, interval, n and verdict."""
    frame = claim_grid(own, number).frame
    several = frame["method"].nunique() > 1
    frame["difference"] = frame["difference"] + (": " + frame["method"] if several else "")
    title = f"Claims of table {number}, scale {own.scale}"
    shown = frame[["difference", INTERVAL, "n", "verdict"]]
    return Grid(shown, (INTERVAL, "n"), title, "Intervals decide; see the page of tables.")


def written(own: Evidence, numbers: Sequence[int], what: str, form: str) -> str | bytes:
    """Tables for readers, a grid each; or one frame, as CSV, JSON or Parquet.

    Raises:
        ValueError: runs are asked for as a table for readers, or pyarrow is not installed.
    """
    if form in TIDY:
        return TIDY[form](FRAMES[what](own, numbers))
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


TIDY: dict[str, Callable[[pd.DataFrame], str | bytes]] = {
    "csv": lambda frame: frame.to_csv(index=False).rstrip("\n"),
    "json": lambda frame: frame.to_json(orient="records", force_ascii=False, double_precision=15),
    "parquet": as_parquet,
}
FORMS = (*FORMATS, *TIDY)
ENDINGS = {f".{name}": name for name in FORMS} | {".tex": "latex", ".txt": "text"}


def main(args: argparse.Namespace) -> int:
    """Print or write tables of the records of a folder.

    Raises:
        ValueError: an option is wrong, or there are no records.
    """
    check_tables(args.tables)
    if args.runs and args.claims:
        raise ValueError("--runs and --claims are two tables: give one of them")
    records = records_in(args.records, args.scale)
    own = Evidence(args.scale, tuple(records.all()))
    if not any(own.records_for(row) for row, _ in own.rows.values()):
        raise ValueError(
            f"none of the {len(own.records)} records in {records.place} is of a row of a table at "
            f"scale {args.scale}: eqco show {records.place} lists them"
        )
    what = "runs" if args.runs else "claims" if args.claims else "cells"
    numbers = args.tables or [n for n, t in own.tables.items() if any(map(own.records_for, t.rows))]
    readable = "text" if args.out is None and sys.stdout.isatty() else "md"
    named = ENDINGS.get(args.out.suffix) if args.out else None
    form = args.format or named or ("csv" if args.runs else readable)
    if form == "parquet" and args.out is None:
        raise ValueError("--format parquet is binary: add --out FILE")
    content = written(own, numbers, what, form)
    if args.out is None:
        print(content)
    else:
        write_atomically(args.out, content if isinstance(content, bytes) else f"{content}\n")
    return 0
