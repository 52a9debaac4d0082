"""What the terminal shows of a table: cells, claims, and what was not measured."""

from __future__ import annotations

import io
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Literal

import pandas as pd
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table as Text

from eqco.artifacts.record import Record
from eqco.engine.progress import duration
from eqco.methods import METHODS
from eqco.recipe import Recipe
from reproductions.reports.claims_table import Judged, claim_table, counts, footnote, heading
from reproductions.results.published import Published
from reproductions.tables.base import Row


def spread(values: Sequence[float]) -> str:
    """Mean, standard deviation and count, such as `86.1 ± 0.3 (5)`."""
    series = pd.Series(values, dtype=float)
    if series.empty:
        return "–"
    if len(series) == 1:
        return f"{series.iloc[0]:.1f} (1)"
    return f"{series.mean():.1f} ± {series.std():.1f} ({len(series)})"


@dataclass(frozen=True)
class Cell:
    """A row of the closing table.

    Attributes:
        row: of the table.
        published: a number or "not verified".
        measured: records by seed.
        status: "passed", "failed", "not run", or how many of the seeds there are.
        evidence: accuracies of the committed runs of this row, percent.
        predicted: where a run of this row falls by the committed evidence; None where it is silent.
    """

    row: Row
    published: str
    measured: dict[int, Record]
    status: str
    evidence: tuple[float, ...] = ()
    predicted: tuple[float, float] | None = None

    @property
    def recipe(self) -> Recipe:
        """Of the row."""
        return self.row.recipe

    def values(self, metric: str) -> dict[int, float]:
        """The metric by seed, percent."""
        return {seed: record.metrics[metric] for seed, record in self.measured.items()}

    @property
    def agrees(self) -> bool | None:
        """Whether every run lies where the evidence predicts; None without runs or prediction."""
        if self.predicted is None or not self.measured:
            return None
        low, high = self.predicted
        return all(low <= value <= high for value in self.values("linear").values())


def difference(cell: Cell, reference: Cell | None) -> str:
    """Mean paired difference to the reference row in points, over the seeds both have."""
    if reference is None or reference is cell:
        return ""
    here, there = cell.values("linear"), reference.values("linear")
    seeds = sorted(here.keys() & there.keys())
    if not seeds:
        return ""
    return f"{sum(here[s] - there[s] for s in seeds) / len(seeds):+.1f}"


def full_baseline(cell: Cell, cells: Sequence[Cell]) -> Cell | None:
    """InfoNCE of the same method with the most negatives, where the table has it at full K."""
    found = [
        c for c in cells if (c.recipe.method, c.recipe.loss) == (cell.recipe.method, "infonce")
    ]
    full = [c for c in found if c.recipe.num_negatives == c.recipe.available()]
    return full[0] if full else None


@dataclass(frozen=True)
class Column:
    """A column of the closing table; among those that do not fit, the highest rank goes first."""

    title: str
    values: list[str]
    rank: int = 0
    justify: Literal["left", "right"] = "left"

    @property
    def width(self) -> int:
        """Characters of its longest line."""
        return max(map(len, (self.title, *self.values)))


def fitting(columns: Sequence[Column], width: int) -> list[Column]:
    """Columns that fit into `width` with a space between them; those of rank 0 always stay."""
    kept = list(columns)
    for column in sorted(columns, key=lambda each: -each.rank):
        if sum(each.width + 1 for each in kept) - 1 > width and column.rank:
            kept.remove(column)
    return kept


def mean_of(values: Collection[float]) -> str:
    """The mean with one decimal."""
    return f"{sum(values) / len(values):.1f}" if values else "–"


def run_time(cell: Cell) -> str:
    """Mean time of a run."""
    seconds = [r.seconds["train"] + r.seconds["probe"] for r in cell.measured.values()]
    return duration(sum(seconds) / len(seconds)) if seconds else "–"


def predicted(cell: Cell) -> str:
    """`84.1–86.9`."""
    return f"{cell.predicted[0]:.1f}–{cell.predicted[1]:.1f}" if cell.predicted else "–"


def columns_of(cells: Sequence[Cell], width: int) -> list[Column]:
    """What is shown of the cells of a method: own numbers, published ones, the evidence."""
    own = [spread(list(cell.values("linear").values())) for cell in cells]
    columns = [
        Column("loss", [cell.row.title for cell in cells]),
        Column("K", [str(cell.recipe.num_negatives) for cell in cells], justify="right"),
        Column("published", [cell.published for cell in cells], 4),
        Column("linear %", own, justify="right"),
        Column("kNN", [mean_of(cell.values("knn").values()) for cell in cells], 1, "right"),
    ]
    if any(full_baseline(cell, cells) for cell in cells):
        gaps = [difference(cell, full_baseline(cell, cells)) for cell in cells]
        columns.append(Column("Δ base", gaps, 2, "right"))
    if any(cell.evidence for cell in cells):
        words = {True: "yes", False: "no", None: "–"}
        columns += [
            Column("evidence", [spread(cell.evidence) for cell in cells], 0, "right"),
            Column("predicted", [predicted(cell) for cell in cells], 0, "right"),
            Column("in?", [words[cell.agrees] for cell in cells]),
        ]
    columns.append(Column("time", [run_time(cell) for cell in cells], 3, "right"))
    columns.append(Column("status", [cell.status for cell in cells]))
    return fitting(columns, width)


def cell_table(columns: Sequence[Column]) -> Text:
    """Rows of a table."""
    table = Text(box=SIMPLE_HEAD, padding=0, show_edge=False)
    for column in columns:
        table.add_column(column.title, justify=column.justify, no_wrap=True)
    for line in zip(*(column.values for column in columns), strict=True):
        table.add_row(*line)
    return table


LEGEND = {
    "Δ base": "Δ base: points against InfoNCE with all negatives, paired by seed.",
    "predicted": "predicted: where a run of the row falls by the committed evidence (99 %).",
    "published": "Published numbers are of ImageNet and are compared at that scale only.",
}


def agreement(cells: Sequence[Cell]) -> str:
    """`your 8 runs agree with the evidence in 8 of 8 cells`; empty where nothing is compared."""
    compared = [cell for cell in cells if cell.agrees is not None]
    runs, agreed = sum(len(c.measured) for c in compared), sum(bool(c.agrees) for c in compared)
    yours = "your run agrees" if runs == 1 else f"your {runs} runs agree"
    return f"{yours} with the evidence in {agreed} of {len(compared)} cells" if runs else ""


def print_cells(console: Console, cells: Sequence[Cell]) -> set[str]:
    """Print a table for each method; gives the titles of the columns that it has."""
    methods, titles = list(dict.fromkeys(cell.recipe.method for cell in cells)), set[str]()
    for method in methods:
        if len(methods) > 1:
            console.print(f"\n{METHODS[method].title}", highlight=False)
        own = [cell for cell in cells if cell.recipe.method == method]
        columns = columns_of(own, console.width)
        titles |= {column.title for column in columns}
        console.print(cell_table(columns))
    return titles


def print_claims(console: Console, claims: Sequence[Judged]) -> None:
    """Print the table of claims under its heading."""
    console.print(f"\n{heading(claims)}", style="bold", highlight=False)
    console.print(claim_table(claims))
    if footnote(claims):
        console.print(footnote(claims), highlight=False)


def closing(
    table: int,
    scale: str,
    cells: Sequence[Cell],
    claims: Sequence[Judged],
    *,
    width: int,
    colour: bool,
    unmatched: Sequence[Published] = (),
) -> str:
    """The text at the end of a session: cells, claims, and what was not measured.

    Args:
        table: number of the table.
        scale: its scale.
        cells: all rows of the table, also those not selected.
        claims: those that were selected.
        width: columns.
        colour: whether escape codes may be used.
        unmatched: published numbers that belong to no row.
    """
    stream = io.StringIO()
    console = Console(
        file=stream, width=width, force_terminal=colour, no_color=not colour,
        markup=False, emoji=False,  # notes and published numbers come from files
    )  # fmt: skip
    methods = list(dict.fromkeys(cell.recipe.method for cell in cells))
    title = f"Table {table} ({', '.join(sorted(methods))}) at scale {scale}"
    console.print(title, style="bold", highlight=False)
    titles = print_cells(console, cells)
    legend = [text for name, text in LEGEND.items() if name in titles]
    console.print("\n".join(legend), highlight=False)
    if "published" in titles:
        for number in unmatched:
            console.print(f"published for {number.of}: {number.value}", highlight=False)
    if claims:
        print_claims(console, claims)
    notes = {record.note for cell in cells for record in cell.measured.values()} - {""}
    for note in sorted(notes):
        console.print(f"note: {note}", highlight=False)
    measured = sum(bool(cell.measured) for cell in cells)
    done = f"table {table}: {measured} of {len(cells)} cells measured"
    console.print(f"\n{done}", style="bold", highlight=False)
    last = "; ".join(filter(None, (agreement(cells), counts(claims))))
    if last:
        console.print(last, style="bold", highlight=False)
    return stream.getvalue()
