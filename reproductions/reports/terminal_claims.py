"""Claims of a table in the terminal: verdicts of the committed records, and own ones beneath."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd
from rich.console import Console

from eqco.evaluation.metrics import METRICS
from reproductions.statistics.verdicts import CHANGED, LEAST_SEEDS, Verdict
from reproductions.statistics.wording import INTERVAL, NOT_RUN, points, word
from reproductions.tables.claims import JUDGED, PRIMARY, Verdicts, seed_counts, tally
from reproductions.tables.formats import Grid, in_terminal


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


def primary_verdicts(claims: Sequence[Judged]) -> tuple[list[Verdict], list[Verdict]]:
    """Verdicts by the linear probe that are shown: of the evidence, and own ones."""
    lines = [claim.lines() for claim in claims]
    evidence = [verdicts["evidence"][PRIMARY] for verdicts in lines if "evidence" in verdicts]
    return evidence, [verdicts["yours"][PRIMARY] for verdicts in lines if "yours" in verdicts]


def claim_grid(claims: Sequence[Judged]) -> Grid:
    """A line for each claim, and a second one for own verdicts beside the evidence's."""
    evidence, own = primary_verdicts(claims)
    lines, usual = [], seed_counts(evidence or own)
    for claim in claims:
        if not claim.lines():
            lines.append({"claim": claim.name, INTERVAL: NOT_RUN})
        for place, (whose, verdicts) in enumerate(claim.lines().items()):
            verdict, seeds = verdicts[PRIMARY], seed_counts([verdicts[PRIMARY]])
            unusual = "" if seeds == usual else f" ({seeds})"
            line = {"claim": f"  {whose}, {seeds}" if place else claim.name + unusual}
            line |= {INTERVAL: points(verdict, 1)}
            line |= {METRICS[metric].title: word(verdicts.get(metric)) for metric in JUDGED}
            lines.append(line)
    return Grid(pd.DataFrame(lines).fillna(""))


def heading(claims: Sequence[Judged]) -> str:
    """Whose verdicts the table has, and of how many seeds."""
    evidence, own = primary_verdicts(claims)
    if evidence:
        beside = "yours beneath" if own else f"yours need --seeds {LEAST_SEEDS}"
        return f"Claims: verdicts of the committed evidence, {seed_counts(evidence)}; {beside}"
    return f"Claims: verdicts of these records, {seed_counts(own)}" if own else "Claims"


def counts(claims: Sequence[Judged]) -> str:
    """`claims: 3 hold, … (yours, n=3); 4 hold, … (evidence, n=10)`."""
    evidence, own = primary_verdicts(claims)
    shown = {"yours": own, "evidence": evidence}
    parts = [f"{tally(v)} ({whose}, {seed_counts(v)})" for whose, v in shown.items() if v]
    if open_ones := sum(not claim.lines() for claim in claims):
        parts.append(f"{open_ones} {NOT_RUN}")
    return f"claims: {'; '.join(parts)}" if parts else ""


RULES = (
    f"rules of {CHANGED}, written after the data of these tables were seen; docs/tables.md has the "
    "earlier verdicts too"
)
PASSED = "* it would hold, but InfoNCE passes the same test, so it says nothing about EqCo"


def print_claims(console: Console, claims: Sequence[Judged]) -> None:
    """Print the table of claims under its heading."""
    console.print(f"\n{heading(claims)}", style="bold")
    console.print(in_terminal(claim_grid(claims), fold="claim"))
    shown = [verdicts for claim in claims for verdicts in claim.lines().values()]
    if any(verdict.passed_by_infonce for verdicts in shown for verdict in verdicts.values()):
        console.print(PASSED)
    evidence, _ = primary_verdicts(claims)
    if evidence:
        console.print(RULES)
