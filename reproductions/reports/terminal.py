"""What the terminal shows of a table: cells, claims, and what was not measured."""

from __future__ import annotations

import io
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import pandas as pd
from rich.console import Console

from eqco.artifacts.record import Record
from eqco.engine.progress import duration
from eqco.evaluation.metrics import METRICS
from eqco.methods import METHODS
from reproductions.results.evidence import Evidence
from reproductions.results.published import numbers_without_row, shown
from reproductions.scales import SCALES
from reproductions.statistics.verdicts import CHANGED, LEAST_SEEDS, Verdict
from reproductions.statistics.wording import INTERVAL, NOT_RUN, points, word
from reproductions.tables.base import Row
from reproductions.tables.claims import JUDGED, PRIMARY, Verdicts, seeds_of, tally
from reproductions.tables.formats import Grid, fitting, in_terminal, spread


@dataclass(frozen=True)
class Cells:
    """The rows of a closing table.

    Attributes:
        table: its number.
        rows: all of the table, also those not selected.
        own, committed: records of the session, and the committed ones beside them.
        ranges: where a run falls by the committed ones, by row; they may be silent of some.
        weights: the same of its 1 - pi_0.
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
        values = self.own.values(row).values()
        if row.name not in self.ranges or not values:
            return None
        checks = (
            (values, self.ranges[row.name]),
            (self.own.diagnostic(row).values(), self.weights.get(row.name, (0.0, 1.0))),
        )
        return all(low <= value <= high for numbers, (low, high) in checks for value in numbers)

    def equal_runs(self) -> int:
        """How many runs have the metrics of the committed one of the same seed, to the bit."""
        pairs = [(self.own.of(row), self.committed.of(row)) for row in self.rows]
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
    return mean_of([left[seed] - right[seed] for seed in left.keys() & right.keys()], "+.1f", "")


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


def mean_of(values: Collection[float], form: str = ".1f", none: str = "–") -> str:
    """The mean with one decimal."""
    return format(sum(values) / len(values), form) if values else none


NUMBERS = ("K", "linear %", "kNN", "Δ base", "evidence", "predicted", "time")
OPTIONAL = ("published", "time", "Δ base", "kNN")  # left out first where columns do not fit
LEGEND = {
    "Δ base": "Δ base: points against InfoNCE with all negatives, paired by seed.",
    "predicted": "predicted: where a run of the row falls by the committed evidence (99 %);\n"
    "in?: it does, and so does its 1 - pi_0, which shows whether alpha / K is on.",
}


def cell_grid(cells: Cells, rows: Sequence[Row], width: int) -> Grid:
    """What is shown of the rows of a method: own numbers, published ones, the evidence."""
    own, committed = cells.own, cells.committed
    columns = {
        "loss": [row.title for row in rows],
        "K": [str(row.recipe.num_negatives) for row in rows],
        "linear %": [spread(own.values(row).values()) for row in rows],
        "kNN": [mean_of(own.values(row, "knn").values()) for row in rows],
    }
    if SCALES[own.scale].paper:
        columns["published"] = [shown(cells.table, row.name) for row in rows]
    baselines = [full_baseline(row, rows) for row in rows]
    if any(baselines):
        columns["Δ base"] = list(map(partial(difference, own), rows, baselines))
    if any(map(committed.of, rows)):
        words = {True: "yes", False: "no", None: "–"}
        columns["evidence"] = [spread(committed.values(row).values()) for row in rows]
        ranges = [cells.ranges.get(row.name) for row in rows]
        columns["predicted"] = ["{:.1f}–{:.1f}".format(*ends) if ends else "–" for ends in ranges]
        columns["in?"] = [words[cells.agrees(row)] for row in rows]
    columns["time"] = [run_time(own.of(row).values()) for row in rows]
    columns["status"] = [cells.statuses[row.name] for row in rows]
    return fitting(Grid(pd.DataFrame(columns), NUMBERS), width, OPTIONAL)


def agreement(cells: Cells) -> str:
    """`your 8 runs agree with the evidence in 8 of 8 cells`; empty where nothing is compared."""
    agrees = {row: cells.agrees(row) for row in cells.rows}
    compared = [row for row in cells.rows if agrees[row] is not None]
    runs = sum(len(cells.own.of(row)) for row in compared)
    if not runs:
        return ""
    yours = "your run agrees" if runs == 1 else f"your {runs} runs agree"
    return (
        f"{yours} with the evidence in {sum(map(bool, agrees.values()))} of {len(compared)} cells, "
        f"{cells.equal_runs()} of {runs} runs are equal to the bit"
    )


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
        show_own = self.own and (not self.evidence or self.own[PRIMARY].n >= LEAST_SEEDS)
        shown = {"evidence": self.evidence, "yours": self.own if show_own else {}}
        return {whose: verdicts for whose, verdicts in shown.items() if verdicts}


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
            verdict, seeds = verdicts[PRIMARY], seeds_of([verdicts[PRIMARY]])
            count_text = "" if seeds == usual else f" ({seeds})"
            line = {"claim": f"  {whose}, {seeds}" if place else claim.name + count_text}
            line |= {INTERVAL: points(verdict, 1)}
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


def print_claims(console: Console, claims: Sequence[Judged]) -> None:
    """Print the table of claims under its heading."""
    console.print(f"\n{heading(claims)}", style="bold")
    console.print(in_terminal(claim_grid(claims), fold="claim"))
    shown = [verdicts for claim in claims for verdicts in claim.lines().values()]
    if any(verdict.passed_by_infonce for verdicts in shown for verdict in verdicts.values()):
        console.print(PASSED)
    if of(claims, "evidence"):
        console.print(RULES)


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
    measured = [own.of(row) for row in cells.rows if own.of(row)]
    notes = {record.note for records in measured for record in records.values()} - {""}
    for note in sorted(notes):
        console.print(f"note: {note}")
    count = f"{len(measured)} of {len(cells.rows)}"
    console.print(f"\ntable {cells.table}: {count} cells measured", style="bold")
    if last := "; ".join(filter(None, (agreement(cells), counts(claims)))):
        console.print(last, style="bold")
    return stream.getvalue()
