"""What the terminal shows of a table: cells, claims, and what was not measured."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table as Text

from eqco.methods import METHODS
from eqco.recipe import Recipe
from eqco.runs.progress import duration
from eqco.runs.record import Record
from reproductions.judge import Verdict
from reproductions.published import Published
from reproductions.tables.cells import Claim, Row


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
    """

    row: Row
    published: str
    measured: dict[int, Record]
    status: str

    @property
    def recipe(self) -> Recipe:
        """Of the row."""
        return self.row.recipe

    def values(self, metric: str) -> dict[int, float]:
        """The metric by seed, percent."""
        return {seed: record.metrics[metric] for seed, record in self.measured.items()}


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


def cell_table(cells: Sequence[Cell]) -> Text:
    """Rows of a table: published beside measured, and the gap to the full-K baseline."""
    table = Text(box=SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False)
    table.add_column("loss", no_wrap=True)
    table.add_column("K", justify="right", no_wrap=True, min_width=3)
    table.add_column("published", no_wrap=True)
    table.add_column("linear %", justify="right", no_wrap=True)
    table.add_column("kNN", justify="right", no_wrap=True, min_width=4)
    paired = any(full_baseline(cell, cells) for cell in cells)
    if paired:
        table.add_column("Δ base", justify="right", no_wrap=True, min_width=4)
    table.add_column("time", justify="right", no_wrap=True, min_width=4)
    table.add_column("status", no_wrap=True)
    for cell in cells:
        records = list(cell.measured.values())
        seconds = [r.seconds["train"] + r.seconds["probe"] for r in records]
        knn = list(cell.values("knn").values())
        table.add_row(
            cell.row.title,
            str(cell.recipe.num_negatives),
            cell.published,
            spread(list(cell.values("linear").values())),
            f"{sum(knn) / len(knn):.1f}" if knn else "–",
            *([difference(cell, full_baseline(cell, cells))] if paired else []),
            duration(sum(seconds) / len(seconds)) if seconds else "–",
            cell.status,
        )
    return table


def closing(
    table: int,
    scale: str,
    cells: Sequence[Cell],
    claims: Sequence[tuple[Claim, Verdict]],
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
        claims: those that were judged.
        width: columns.
        colour: whether escape codes may be used.
        unmatched: published numbers that belong to no row.
    """
    stream = io.StringIO()
    console = Console(file=stream, width=width, force_terminal=colour, no_color=not colour)
    methods = list(dict.fromkeys(cell.recipe.method for cell in cells))
    title = f"Table {table} ({', '.join(sorted(methods))}) at scale {scale}"
    console.print(title, style="bold", highlight=False)
    for method in methods:
        if len(methods) > 1:
            console.print(f"\n{METHODS[method].title}", highlight=False)
        console.print(cell_table([cell for cell in cells if cell.recipe.method == method]))
    console.print(
        "Δ base: points against InfoNCE with all negatives, paired by seed. Published numbers are "
        "of ImageNet and are compared at that scale only.",
        highlight=False,
    )
    for number in unmatched:
        console.print(f"published for {number.of}: {number.value}", highlight=False)
    for claim, verdict in claims:
        console.print(f"\n{claim.name}: {claim.statement}\n  {verdict}", highlight=False)
    done = sum(bool(cell.measured) for cell in cells)
    console.print(f"\ntable {table}: {done} of {len(cells)} cells measured", style="bold")
    notes = {record.note for cell in cells for record in cell.measured.values()} - {""}
    for note in sorted(notes):
        console.print(f"note: {note}", highlight=False)
    return stream.getvalue()
