"""What the terminal shows of a table: cells, claims, and what was not measured."""

from __future__ import annotations

import io
from collections.abc import Collection, Sequence
from dataclasses import dataclass

import pandas as pd
from rich.console import Console

from eqco.artifacts.record import Record
from eqco.engine.progress import duration
from eqco.evaluation.metrics import METRICS
from eqco.methods import METHODS
from eqco.recipe import Recipe
from reproductions.results.published import Published
from reproductions.statistics.verdicts import CHANGED, LEAST_SEEDS, Verdict
from reproductions.statistics.wording import INTERVAL, NOT_RUN, points, word
from reproductions.tables.base import Row
from reproductions.tables.claims import JUDGED, PRIMARY, Verdicts, seeds_of, tally
from reproductions.tables.formats import Grid, fitting, in_terminal, spread


@dataclass(frozen=True)
class Cell:
    """A row of the closing table.

    Attributes:
        row: of the table.
        published: a number or "not verified"; "" where none is compared.
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
    return mean_of([here[seed] - there[seed] for seed in here.keys() & there.keys()], "+.1f", "")


def full_baseline(cell: Cell, cells: Sequence[Cell]) -> Cell | None:
    """InfoNCE of the same method with the most negatives, where the table has it at full K."""
    for other in cells:
        recipe = other.recipe
        same = (recipe.method, recipe.loss) == (cell.recipe.method, "infonce")
        if same and recipe.num_negatives == recipe.available():
            return other
    return None


def run_time(cell: Cell) -> str:
    """Mean time of a run."""
    seconds = [r.seconds["train"] + r.seconds["probe"] for r in cell.measured.values()]
    return duration(sum(seconds) / len(seconds)) if seconds else "–"


def mean_of(values: Collection[float], form: str = ".1f", none: str = "–") -> str:
    """The mean with one decimal."""
    return format(sum(values) / len(values), form) if values else none


NUMBERS = ("K", "linear %", "kNN", "Δ base", "evidence", "predicted", "time")
OPTIONAL = ("published", "time", "Δ base", "kNN")  # left out first where columns do not fit
LEGEND = {
    "Δ base": "Δ base: points against InfoNCE with all negatives, paired by seed.",
    "predicted": "predicted: where a run of the row falls by the committed evidence (99 %).",
}


def cell_grid(cells: Sequence[Cell], width: int) -> Grid:
    """What is shown of the cells of a method: own numbers, published ones, the evidence."""
    columns = {
        "loss": [cell.row.title for cell in cells],
        "K": [str(cell.recipe.num_negatives) for cell in cells],
        "linear %": [spread(cell.values("linear").values()) for cell in cells],
        "kNN": [mean_of(cell.values("knn").values()) for cell in cells],
    }
    if any(cell.published for cell in cells):
        columns["published"] = [cell.published for cell in cells]
    baselines = [full_baseline(cell, cells) for cell in cells]
    if any(baselines):
        columns["Δ base"] = list(map(difference, cells, baselines))
    if any(cell.evidence for cell in cells):
        words = {True: "yes", False: "no", None: "–"}
        columns["evidence"] = [spread(cell.evidence) for cell in cells]
        ranges = [cell.predicted for cell in cells]
        columns["predicted"] = ["{:.1f}–{:.1f}".format(*each) if each else "–" for each in ranges]
        columns["in?"] = [words[cell.agrees] for cell in cells]
    columns["time"] = list(map(run_time, cells))
    columns["status"] = [cell.status for cell in cells]
    return fitting(Grid(pd.DataFrame(columns), NUMBERS), width, OPTIONAL)


def agreement(cells: Sequence[Cell]) -> str:
    """`your 8 runs agree with the evidence in 8 of 8 cells`; empty where nothing is compared."""
    compared = [cell for cell in cells if cell.agrees is not None]
    runs, agreed = sum(len(c.measured) for c in compared), sum(bool(c.agrees) for c in compared)
    yours = "your run agrees" if runs == 1 else f"your {runs} runs agree"
    return f"{yours} with the evidence in {agreed} of {len(compared)} cells" if runs else ""


@dataclass(frozen=True)
class Judged:
    """A claim with its verdicts.

    Attributes:
        name: of the claim.
        own: verdicts of this session's records by metric; empty where a row has none.
        evidence: verdicts of the committed records; empty where there are none.
    """

    name: str
    own: Verdicts
    evidence: Verdicts

    def lines(self) -> dict[str, Verdicts]:
        """Verdicts to show by whose they are; own ones beside evidence from three seeds on."""
        mine = self.own and (not self.evidence or self.own[PRIMARY].n >= LEAST_SEEDS)
        found = {"evidence": self.evidence, "yours": self.own if mine else {}}
        return {whose: verdicts for whose, verdicts in found.items() if verdicts}


def of(claims: Sequence[Judged], whose: str) -> list[Verdict]:
    """Verdicts by the first metric that are shown, of "evidence" or "yours"."""
    return [claim.lines()[whose][PRIMARY] for claim in claims if whose in claim.lines()]


def claim_grid(claims: Sequence[Judged]) -> Grid:
    """A line for each claim, and a second one for own verdicts beside the evidence's."""
    lines, usual = [], seeds_of(of(claims, "evidence") or of(claims, "yours"))
    for claim in claims:
        if not claim.lines():
            lines.append({"claim": claim.name, INTERVAL: NOT_RUN})
        for place, (whose, verdicts) in enumerate(claim.lines().items()):
            first, seeds = verdicts[PRIMARY], seeds_of([verdicts[PRIMARY]])
            other = "" if seeds == usual else f" ({seeds})"
            line = {"claim": f"  {whose}, {seeds}" if place else claim.name + other}
            line |= {INTERVAL: points(first, 1)}
            line |= {METRICS[metric].title: word(verdicts.get(metric)) for metric in JUDGED}
            lines.append(line)
    return Grid(pd.DataFrame(lines).fillna(""))


def heading(claims: Sequence[Judged]) -> str:
    """Whose verdicts the table has, and of how many seeds."""
    evidence, own = of(claims, "evidence"), of(claims, "yours")
    if evidence:
        beside = "yours beneath" if own else f"yours need --seeds {LEAST_SEEDS}"
        return f"Claims: verdicts of the committed evidence, {seeds_of(evidence)}; {beside}"
    return f"Claims: verdicts of these records, {seeds_of(own)}" if own else "Claims"


def counts(claims: Sequence[Judged]) -> str:
    """`claims: 3 hold, … (yours, n=3); 4 hold, … (evidence, n=10)`."""
    shown = {whose: of(claims, whose) for whose in ("yours", "evidence")}
    parts = [f"{tally(v)} ({whose}, {seeds_of(v)})" for whose, v in shown.items() if v]
    if open_ones := sum(not claim.lines() for claim in claims):
        parts.append(f"{open_ones} {NOT_RUN}")
    return f"claims: {'; '.join(parts)}" if parts else ""


RULES = (
    f"rules of {CHANGED}, written after the data of these tables were seen; docs/tables.md has the "
    "earlier verdicts too"
)
PASSED = "* it would hold, but InfoNCE passes the same test, so it says nothing about EqCo"


def print_cells(console: Console, cells: Sequence[Cell]) -> set[str]:
    """Print a table for each method; gives the titles of the columns that it has."""
    by_method: dict[str, list[Cell]] = {}
    for cell in cells:
        by_method.setdefault(cell.recipe.method, []).append(cell)
    titles = set[str]()
    for method, own in by_method.items():
        if len(by_method) > 1:
            console.print(f"\n{METHODS[method].title}")
        grid = cell_grid(own, console.width)
        titles |= set(grid.header)
        console.print(in_terminal(grid))
    return titles


def print_claims(console: Console, claims: Sequence[Judged]) -> None:
    """Print the table of claims under its heading."""
    console.print(f"\n{heading(claims)}", style="bold")
    console.print(in_terminal(claim_grid(claims), fold="claim"))
    shown = [v for claim in claims for line in claim.lines().values() for v in line.values()]
    if any(verdict.passed_by_infonce for verdict in shown):
        console.print(PASSED)
    if of(claims, "evidence"):
        console.print(RULES)


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
        file=stream, width=width, force_terminal=colour, no_color=not colour, highlight=False,
        markup=False, emoji=False,  # notes and published numbers come from files
    )  # fmt: skip
    methods = ", ".join(sorted({cell.recipe.method for cell in cells}))
    console.print(f"Table {table} ({methods}) at scale {scale}", style="bold")
    titles = print_cells(console, cells)
    lines = [text for name, text in LEGEND.items() if name in titles]
    lines += [f"published for {number.of}: {number.value}" for number in unmatched]
    console.print("\n".join(lines))
    if claims:
        print_claims(console, claims)
    notes = {record.note for cell in cells for record in cell.measured.values()} - {""}
    for note in sorted(notes):
        console.print(f"note: {note}")
    measured = sum(bool(cell.measured) for cell in cells)
    console.print(f"\ntable {table}: {measured} of {len(cells)} cells measured", style="bold")
    if last := "; ".join(filter(None, (agreement(cells), counts(claims)))):
        console.print(last, style="bold")
    return stream.getvalue()
