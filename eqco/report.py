"""Tables out of records: one tidy frame, and what the terminal and the README show of it."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from eqco.judge import Verdict
from eqco.recipe import Recipe
from eqco.record import Record

NOT_VERIFIED = "not verified"
LOSS_TITLES = {
    "infonce": "InfoNCE",
    "eqco": "EqCo",
    "dcl": "DCL",
    "flat_nce": "FlatNCE",
    "dual_temperature": "dual temp.",
    "untrained": "untrained",
}
METHOD_TITLES = {"simo": "SiMo", "moco": "MoCo", "simclr": "SimCLR"}
METRICS = ("linear", "knn", "class_mean")


def frame(records: Sequence[Record]) -> pd.DataFrame:
    """One line a run: recipe, metrics in percent, diagnostics, seconds."""
    lines = []
    for record in records:
        recipe = record["recipe"]
        loss = recipe["loss"] if recipe["epochs"] else "untrained"
        lines.append(
            {
                **recipe,
                "run_id": record["run_id"],
                "seed": record["seed"],
                "loss": loss,
                "row": f"{recipe['method']}-{loss}-k{recipe['num_negatives']}",
                **record["metrics"],
                **record["diagnostics"],
                "seconds": record["seconds"]["train"] + record["seconds"]["probe"],
                "note": record["note"],
            }
        )
    return pd.DataFrame(lines)


def published(folder: Path, table: int, metric: str = "top1") -> dict[str, str]:
    """Published values by row, as they stand in `published.csv`."""
    with (folder / "published.csv").open(encoding="utf-8", newline="") as stream:
        return {
            line["row"]: line["value"]
            for line in csv.DictReader(stream)
            if line["table"] == str(table) and line["metric"] == metric
        }


@dataclass(frozen=True)
class Published:
    """A published number: value in percent, of how many trials, and what it is of."""

    value: float
    trials: int
    source: str
    note: str


def published_of(folder: Path, table: int, row: str, metric: str = "top1") -> Published | None:
    """The published number of a row, None where no source is known."""
    with (folder / "published.csv").open(encoding="utf-8", newline="") as stream:
        for line in csv.DictReader(stream):
            if (line["table"], line["row"], line["metric"]) == (str(table), row, metric):
                trials = int(line["trials"])
                return Published(float(line["value"]), trials, line["source"], line["note"])
    return None


def spread(values: Sequence[float]) -> str:
    """Mean, standard deviation and count, such as `86.1 ± 0.3 (5)`."""
    series = pd.Series(values, dtype=float)
    if series.empty:
        return "–"
    if len(series) == 1:
        return f"{series.iloc[0]:.1f} (1)"
    return f"{series.mean():.1f} ± {series.std():.1f} ({len(series)})"


@dataclass
class Cell:
    """A row of the closing table.

    Attributes:
        recipe: of the row.
        published: a number or "not verified".
        measured: records by seed.
        status: "passed", "failed", "not run".
        name: of the row; what stands behind its K, such as "alpha64", is shown.
    """

    recipe: Recipe
    published: str
    measured: dict[int, Record]
    status: str
    name: str = ""

    @property
    def title(self) -> str:
        """The loss, and in what the row differs besides K."""
        known = {self.recipe.method, self.recipe.loss, f"k{self.recipe.num_negatives}"}
        known |= {"independent"}  # as everywhere but in the rows that say otherwise
        rest = [word for word in self.name.split("-") if word not in known]
        return " ".join([LOSS_TITLES[self.recipe.loss], *rest])

    def values(self, metric: str) -> dict[int, float]:
        """The metric by seed, percent."""
        return {seed: record["metrics"][metric] for seed, record in self.measured.items()}


def difference(cell: Cell, reference: Cell | None) -> str:
    """Mean paired difference to the reference row in points, over the seeds both have."""
    if reference is None or reference is cell:
        return ""
    here, there = cell.values("linear"), reference.values("linear")
    seeds = sorted(here.keys() & there.keys())
    if not seeds:
        return ""
    return f"{sum(here[s] - there[s] for s in seeds) / len(seeds):+.1f}"


def duration(seconds: float) -> str:
    """`41 s`, `12 min`, `3.2 h`."""
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"


def reference_of(cell: Cell, cells: Sequence[Cell]) -> Cell | None:
    """InfoNCE of the same method with the most negatives, where the table has it at full K."""
    found = [
        c for c in cells if (c.recipe.method, c.recipe.loss) == (cell.recipe.method, "infonce")
    ]
    full = [c for c in found if c.recipe.num_negatives == c.recipe.available()]
    return full[0] if full else None


def cell_table(cells: Sequence[Cell]) -> Table:
    """Rows of a table: published beside measured, and the gap to the full-K baseline."""
    table = Table(box=SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False)
    table.add_column("loss", no_wrap=True)
    table.add_column("K", justify="right", no_wrap=True, min_width=3)
    table.add_column("published", no_wrap=True)
    table.add_column("linear %", justify="right", no_wrap=True)
    table.add_column("kNN", justify="right", no_wrap=True, min_width=4)
    paired = any(reference_of(cell, cells) for cell in cells)
    if paired:
        table.add_column("Δ base", justify="right", no_wrap=True, min_width=4)
    table.add_column("time", justify="right", no_wrap=True, min_width=4)
    table.add_column("status", no_wrap=True)
    for cell in cells:
        records = list(cell.measured.values())
        seconds = [r["seconds"]["train"] + r["seconds"]["probe"] for r in records]
        knn = list(cell.values("knn").values())
        table.add_row(
            cell.title,
            str(cell.recipe.num_negatives),
            cell.published,
            spread(list(cell.values("linear").values())),
            f"{sum(knn) / len(knn):.1f}" if knn else "–",
            *([difference(cell, reference_of(cell, cells))] if paired else []),
            duration(sum(seconds) / len(seconds)) if seconds else "–",
            cell.status,
        )
    return table


def closing(
    table: int,
    scale: str,
    cells: Sequence[Cell],
    claims: Sequence[tuple[str, str, Verdict | None]],
    *,
    width: int,
    colour: bool,
    unmatched: dict[str, str] | None = None,
) -> str:
    """The text at the end of a session: cells, claims, and what was not measured.

    Args:
        table: number of the table.
        scale: its scale.
        cells: all rows of the table, also those not selected.
        claims: (name, what it says, verdict or None).
        width: columns.
        colour: whether escape codes may be used.
        unmatched: published values that belong to no row of ours, by what they are of.
    """
    stream = io.StringIO()
    console = Console(file=stream, width=width, force_terminal=colour, no_color=not colour)
    methods = ", ".join(sorted({cell.recipe.method for cell in cells}))
    title = f"Table {table} ({methods}) at scale {scale}"
    console.print(title, style="bold", highlight=False)
    for method in dict.fromkeys(cell.recipe.method for cell in cells):
        if len({cell.recipe.method for cell in cells}) > 1:
            console.print(f"\n{METHOD_TITLES[method]}", highlight=False)
        console.print(cell_table([cell for cell in cells if cell.recipe.method == method]))
    console.print(
        "Δ base: points against InfoNCE with all negatives, paired by seed. Published numbers are "
        "of ImageNet and are compared at that scale only.",
        highlight=False,
    )
    for of, value in (unmatched or {}).items():
        console.print(f"published for {of}: {value}", highlight=False)
    for name, says, verdict in claims:
        text = str(verdict) if verdict else "not judged: a row is missing"
        console.print(f"\n{name}: {says}\n  {text}", highlight=False)
    done = sum(bool(cell.measured) for cell in cells)
    console.print(f"\ntable {table}: {done} of {len(cells)} cells measured", style="bold")
    notes = {record["note"] for cell in cells for record in cell.measured.values()} - {""}
    for note in sorted(notes):
        console.print(f"note: {note}", highlight=False)
    return stream.getvalue()
