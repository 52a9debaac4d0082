"""What the terminal shows of a table: its cells, and the text that closes a session."""

from __future__ import annotations

import io
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import pandas as pd
from rich.console import Console

from eqco.artifacts.record import Record
from eqco.engine.progress import duration
from eqco.methods import METHODS
from reproductions.reports.terminal_claims import Judged, counts, print_claims
from reproductions.results.evidence import NEGATIVE_WEIGHT, Evidence
from reproductions.results.published import numbers_without_row, published_text
from reproductions.scales import SCALES
from reproductions.tables.base import Row
from reproductions.tables.claims import PRIMARY
from reproductions.tables.formats import Grid, fitting, in_terminal, spread


@dataclass(frozen=True)
class Cells:
    """The rows of a closing table.

    Attributes:
        table: its number.
        rows: all of the table, also those not selected.
        own, committed: records of the session, and the committed ones beside them.
        ranges: prediction interval of a run by row, from the committed records; some have none.
        weights: the same for its 1 - pi_0.
        statuses: "passed", "failed", "not run", or how many of the seeds there are, by row.
    """

    table: int
    rows: Sequence[Row]
    own: Evidence
    committed: Evidence
    ranges: Mapping[str, tuple[float, float]]
    weights: Mapping[str, tuple[float, float]]
    statuses: Mapping[str, str]

    def agrees(self, row: Row) -> bool | None:
        """Whether every run lies where the evidence predicts; None without runs or prediction."""
        values, weights = (
            self.own.values(row, name).values() for name in (PRIMARY, NEGATIVE_WEIGHT)
        )
        if row.name not in self.ranges or not values:
            return None
        pairs = ((values, self.ranges[row.name]), (weights, self.weights.get(row.name, (0.0, 1.0))))
        return all(low <= value <= high for numbers, (low, high) in pairs for value in numbers)

    def equal_runs(self) -> int:
        """How many runs have the metrics of the committed one of the same seed, to the bit."""
        pairs = [(self.own.records_for(row), self.committed.records_for(row)) for row in self.rows]
        return sum(
            record.metrics == committed[seed].metrics
            for runs, committed in pairs
            for seed, record in runs.items()
            if seed in committed
        )


def difference(own: Evidence, row: Row, reference: Row | None) -> str:
    """Mean paired difference to the reference row in points, over the seeds both have."""
    if reference is None or reference is row:
        return ""
    left, right = own.values(row), own.values(reference)
    return mean_text([left[seed] - right[seed] for seed in left.keys() & right.keys()], "+.1f", "")


def full_baseline(row: Row, rows: Sequence[Row]) -> Row | None:
    """InfoNCE of the same method with the most negatives, where the table has it at full K."""
    for other in rows:
        recipe = other.recipe
        same = (recipe.method, recipe.loss) == (row.recipe.method, "infonce")
        if same and recipe.num_negatives == recipe.available():
            return other
    return None


def run_time(records: Collection[Record]) -> str:
    """Mean time of a run."""
    seconds = [record.seconds["train"] + record.seconds["probe"] for record in records]
    return duration(sum(seconds) / len(seconds)) if seconds else "–"


def mean_text(values: Collection[float], form: str = ".1f", none: str = "–") -> str:
    """The mean with one decimal."""
    return format(sum(values) / len(values), form) if values else none


NUMBERS = ("K", "linear %", "kNN", "Δ base", "evidence", "predicted", "time")
OPTIONAL = ("published", "time", "Δ base", "kNN")  # left out first where columns do not fit
LEGEND = {
    "Δ base": "Δ base: points against InfoNCE with all negatives, paired by seed.",
    "predicted": "predicted: 99 % prediction interval of a run, from the committed evidence;\n"
    "in?: the run is inside, and so is its 1 - pi_0, which shows whether alpha / K is on.",
}


def cell_grid(cells: Cells, rows: Sequence[Row], width: int) -> Grid:
    """What is shown of the rows of a method: own numbers, published ones, the evidence."""
    own, committed = cells.own, cells.committed
    columns = {
        "loss": [row.title for row in rows],
        "K": [str(row.recipe.num_negatives) for row in rows],
        "linear %": [spread(own.values(row).values()) for row in rows],
        "kNN": [mean_text(own.values(row, "knn").values()) for row in rows],
    }
    if SCALES[own.scale].paper:
        columns["published"] = [published_text(cells.table, row.name) for row in rows]
    baselines = [full_baseline(row, rows) for row in rows]
    if any(baselines):
        columns["Δ base"] = list(map(partial(difference, own), rows, baselines))
    if any(map(committed.records_for, rows)):
        words = {True: "yes", False: "no", None: "–"}
        columns["evidence"] = [spread(committed.values(row).values()) for row in rows]
        ranges = [cells.ranges.get(row.name) for row in rows]
        columns["predicted"] = ["{:.1f}–{:.1f}".format(*ends) if ends else "–" for ends in ranges]
        columns["in?"] = [words[cells.agrees(row)] for row in rows]
    columns["time"] = [run_time(own.records_for(row).values()) for row in rows]
    columns["status"] = [cells.statuses[row.name] for row in rows]
    return fitting(Grid(pd.DataFrame(columns), NUMBERS), width, OPTIONAL)


def agreement(cells: Cells) -> str:
    """`your 8 runs agree with the evidence in 8 of 8 cells`; empty where nothing is compared."""
    agrees = {row: cells.agrees(row) for row in cells.rows}
    compared = [row for row in cells.rows if agrees[row] is not None]
    runs = sum(len(cells.own.records_for(row)) for row in compared)
    if not runs:
        return ""
    yours = "your run agrees" if runs == 1 else f"your {runs} runs agree"
    return (
        f"{yours} with the evidence in {sum(map(bool, agrees.values()))} of {len(compared)} cells, "
        f"{cells.equal_runs()} of {runs} runs are equal to the bit"
    )


def print_cells(console: Console, cells: Cells) -> set[str]:
    """Print a table for each method; gives the titles of the columns that it has."""
    by_method: dict[str, list[Row]] = {}
    for row in cells.rows:
        by_method.setdefault(row.recipe.method, []).append(row)
    titles = set[str]()
    for method, rows in by_method.items():
        if len(by_method) > 1:
            console.print(f"\n{METHODS[method].title}")
        grid = cell_grid(cells, rows, console.width)
        titles |= set(grid.header)
        console.print(in_terminal(grid))
    return titles


def closing(cells: Cells, claims: Sequence[Judged], *, width: int, colour: bool) -> str:
    """The text at the end of a session: cells, claims, and what was not measured.

    Args:
        cells: of the table.
        claims: those that were selected.
        width: columns.
        colour: whether escape codes may be used.
    """
    stream, own = io.StringIO(), cells.own
    console = Console(
        file=stream, width=width, force_terminal=colour, no_color=not colour, highlight=False,
        markup=False, emoji=False,  # notes and published numbers come from files
    )  # fmt: skip
    methods = ", ".join(sorted({row.recipe.method for row in cells.rows}))
    console.print(f"Table {cells.table} ({methods}) at scale {own.scale}", style="bold")
    titles = print_cells(console, cells)
    lines = [text for name, text in LEGEND.items() if name in titles]
    unmatched = numbers_without_row(cells.table) if SCALES[own.scale].paper else []
    lines += [f"published for {number.of}: {number.value}" for number in unmatched]
    console.print("\n".join(lines))
    if claims:
        print_claims(console, claims)
    measured = [own.records_for(row) for row in cells.rows if own.records_for(row)]
    notes = {record.note for records in measured for record in records.values()} - {""}
    for note in sorted(notes):
        console.print(f"note: {note}")
    count = f"{len(measured)} of {len(cells.rows)}"
    console.print(f"\ntable {cells.table}: {count} cells measured", style="bold")
    if last := "; ".join(filter(None, (agreement(cells), counts(claims)))):
        console.print(last, style="bold")
    return stream.getvalue()
