"""Claims on the page: a line for each claim of a scale, and the paper's claims above them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from eqco.methods import METHODS
from reproductions.reports.html.charts import interval_bar
from reproductions.results.report_records import Evidence
from reproductions.statistics.verdicts import LEAST_SEEDS, STATUSES, UNDETERMINED, Verdict
from reproductions.tables.base import Claim
from reproductions.tables.claims import FEW, PRIMARY, SECOND_METRIC, Verdicts, tally
from reproductions.verdict_text import short_p

NOT_RUN = "not run"
ORDER = (*STATUSES, UNDETERMINED, NOT_RUN)
PREDICTED_AT = "glyphs"  # the scale of `Claim.predicted`
LEAST_REACH = 2.0  # points, of the axis of intervals
ELSEWHERE = {
    "C2": "judged by figure 1, see the findings",
    "C3": "judged by figure 2, see the findings",
    "C4": "judged by the claims of C1 at K = 16",
}


def minus(text: str) -> str:
    """The text with minus signs in place of hyphens."""
    return text.replace("-", "−")


def status(verdict: Verdict | None) -> str:
    """One of `ORDER`."""
    return verdict.status if verdict else NOT_RUN


@dataclass(frozen=True)
class Line:
    """A claim with its verdicts.

    Attributes:
        table: number of its table.
        claim: of the table.
        verdicts: by metric; empty where its rows share no seed.
        differences: of the first metric by seed, points.
        bar: the interval as a picture.
        predicts: whether `claim.predicted` is of this scale.
    """

    table: int
    claim: Claim
    verdicts: Verdicts
    differences: dict[int, float]
    bar: Markup
    predicts: bool

    @property
    def verdict(self) -> Verdict | None:
        """By the first metric."""
        return self.verdicts.get(PRIMARY)

    @property
    def statuses(self) -> tuple[str, str]:
        """By both metrics."""
        return status(self.verdict), status(self.verdicts.get(SECOND_METRIC))

    @property
    def rank(self) -> int:
        """Place of the first status in `ORDER`."""
        return ORDER.index(self.statuses[0])

    @property
    def uncorrected(self) -> str:
        """The first status without Holm's correction, "" where it is the same."""
        verdict = self.verdict
        changed = verdict is not None and verdict.status != verdict.uncorrected
        return verdict.uncorrected if verdict and changed else ""

    @property
    def effect(self) -> str:
        """`+0.30 [−0.10, +0.70]`; without interval for one seed."""
        v = self.verdict
        if v is None:
            return "–"
        interval = f" [{v.low:+.2f}, {v.high:+.2f}]" if v.n > 1 else ""
        return minus(f"{v.mean:+.2f}{interval}")

    @property
    def p_values(self) -> tuple[float, float]:
        """The decisive p-value, without and with Holm's correction; nan where there is none."""
        return (self.verdict.p, self.verdict.p_holm) if self.verdict else (math.nan, math.nan)

    @property
    def short_p(self) -> tuple[str, str]:
        """Both in four characters."""
        first, corrected = self.p_values
        return short_p(first), short_p(corrected)

    @property
    def predicted(self) -> str:
        """`+0.50, inside`: the prediction, and whether the interval has it from three seeds on."""
        points, v = self.claim.predicted, self.verdict
        if points is None or not self.predicts:
            return "–"
        word = ""
        if v and v.n >= LEAST_SEEDS:
            word = ", inside" if v.low <= points <= v.high else ", outside"
        return minus(f"{points:+.2f}") + word


def reach_of(verdicts: Sequence[Verdict]) -> float:
    """Points at the ends of an axis that has all intervals from three seeds on."""
    ends = [abs(end) for v in verdicts if v.n >= LEAST_SEEDS for end in (v.low, v.high)]
    return max([LEAST_REACH, *ends])


def lines(evidence: Evidence) -> list[Line]:
    """All claims of a scale, table by table; empty where none has a verdict."""
    judged = [by[PRIMARY] for each in evidence.verdicts.values() for by in each.values() if by]
    reach, found = reach_of(judged), []
    for number, table in evidence.tables.items():
        for claim in table.claims if judged else ():
            verdicts = evidence.verdicts[number][claim.name]
            left, right = evidence.values(claim.left), evidence.values(claim.right)
            differences = {s: left[s] - right[s] for s in sorted(left.keys() & right.keys())}
            bar = interval_bar(verdicts[PRIMARY], reach) if PRIMARY in verdicts else Markup("")
            predicts = evidence.scale == PREDICTED_AT
            found.append(Line(number, claim, verdicts, differences, bar, predicts))
    return found


def headline(found: Sequence[Line]) -> list[Line]:
    """Judged claims of the first table that tests C1, at the K of the paper's headline."""
    first = next((line.table for line in found if line.claim.paper == "C1"), None)
    return [
        line
        for line in found
        if line.verdict and line.table == first and line.claim.num_negatives == FEW
    ]


def tally_of(found: Sequence[Line]) -> str:
    """`3 supported, 2 contradicted, ..., 4 not run`."""
    judged = tally(line.verdict for line in found if line.verdict)
    return f"{judged}, {sum(line.verdict is None for line in found)} {NOT_RUN}"


def by_paper(found: Sequence[Line], paper: str) -> dict[str, dict[str, list[int]]]:
    """Claims that test a claim of the paper: K by status, by method and what is compared."""
    groups: dict[str, dict[str, list[int]]] = {}
    for line in found:
        if line.claim.paper == paper:
            method = METHODS[line.claim.left.recipe.method].title
            aspect = line.claim.aspect
            what = f"{method}: {aspect}" if aspect else line.claim.statement
            statuses = groups.setdefault(what, {})
            statuses.setdefault(line.statuses[0], []).append(line.claim.num_negatives)
    return groups
