"""The claims of a table in the terminal: verdicts of one's own runs and of the evidence."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from rich.box import SIMPLE_HEAD
from rich.table import Table as Text

from eqco.evaluation.metrics import METRICS
from reproductions.statistics.verdicts import LEAST_SEEDS, STATUSES, Verdict
from reproductions.tables.claims import JUDGED, PRIMARY, Verdicts, seeds_of, tally


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


def short_p(p: float) -> str:
    """A p-value in four characters: `.32`, `.007`, `8e-5`, `≈0` below 1e-9."""
    if math.isnan(p):
        return "–"
    if p < 0.00095:
        return "≈0" if p < 1e-9 else f"{p:.0e}".replace("e-0", "e-")
    return f"{p:.2f}".strip("0").rstrip(".") if p >= 0.0995 else f"{p:.3f}".removeprefix("0")


def difference(verdict: Verdict) -> str:
    """`-1.2 [-1.7, -0.7]`; without interval for a single seed."""
    if verdict.n < 2:
        return f"{verdict.mean:+.1f}"
    return f"{verdict.mean:+.1f} [{verdict.low:+.1f}, {verdict.high:+.1f}]"


MARKS = dict(zip(STATUSES, "¹²³", strict=True))  # of a status that Holm's correction took away


def told(verdict: Verdict | None) -> str:
    """The status, marked where it differs from the uncorrected one: `undetermined¹`."""
    if verdict is None:
        return "–"
    changed = verdict.status != verdict.uncorrected
    return verdict.status + (MARKS[verdict.uncorrected] if changed else "")


def claim_table(claims: Sequence[Judged]) -> Text:
    """A line for each claim, and a second one for own verdicts beside the evidence's."""
    table = Text(box=SIMPLE_HEAD, padding=0, show_edge=False)
    table.add_column("claim", overflow="fold")
    table.add_column("points [90 %]", no_wrap=True)
    table.add_column("p", justify="right", no_wrap=True)
    table.add_column("Holm", justify="right", no_wrap=True)
    for metric in JUDGED:
        table.add_column(METRICS[metric].title, no_wrap=True)
    usual = seeds_of(of(claims, "evidence") or of(claims, "yours"))
    for claim in claims:
        if not claim.lines():
            table.add_row(claim.name, "not run")
        for place, (whose, verdicts) in enumerate(claim.lines().items()):
            first, seeds = verdicts[PRIMARY], seeds_of([verdicts[PRIMARY]])
            other = "" if seeds == usual else f" ({seeds})"
            name = f"  {whose}, {seeds}" if place else claim.name + other
            cells = (difference(first), short_p(first.p), short_p(first.p_holm))
            table.add_row(name, *cells, *(told(verdicts.get(metric)) for metric in JUDGED))
    return table


def heading(claims: Sequence[Judged]) -> str:
    """Whose verdicts the table has, and of how many seeds."""
    evidence, own = of(claims, "evidence"), of(claims, "yours")
    if evidence:
        beside = "yours beneath" if own else f"yours need --seeds {LEAST_SEEDS}"
        return f"Claims: verdicts of the committed evidence, {seeds_of(evidence)}; {beside}"
    if own:
        return f"Claims: verdicts of these records, {seeds_of(own)}"
    return "Claims"


def footnote(claims: Sequence[Judged]) -> str:
    """`¹ supported without Holm's correction`: what the marks in the table mean."""
    shown = [v for claim in claims for line in claim.lines().values() for v in line.values()]
    changed = {verdict.uncorrected for verdict in shown if verdict.status != verdict.uncorrected}
    meant = ", ".join(f"{mark} {status}" for status, mark in MARKS.items() if status in changed)
    return f"{meant} without Holm's correction" if meant else ""


def counts(claims: Sequence[Judged]) -> str:
    """`claims: 3 supported, … (yours, n=3); 4 supported, … (evidence, n=10)`."""
    parts = []
    for whose in ("yours", "evidence"):
        verdicts = of(claims, whose)
        if verdicts:
            parts.append(f"{tally(verdicts)} ({whose}, {seeds_of(verdicts)})")
    open_ones = sum(not claim.lines() for claim in claims)
    if open_ones:
        parts.append(f"{open_ones} not run")
    return f"claims: {'; '.join(parts)}" if parts else ""
