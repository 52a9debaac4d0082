"""Claims on the page: those of the paper in a table for each method, all of them folded."""

from __future__ import annotations

from collections.abc import Iterator

import pandas as pd
from markupsafe import Markup

from eqco.evaluation.metrics import METRICS
from eqco.methods import METHODS
from reproductions.formats import Grid
from reproductions.results.report_records import Evidence
from reproductions.statistics.verdicts import LEAST_SEEDS, MARGIN, Verdict
from reproductions.statistics.wording import (
    INTERVAL,
    NOT_RUN,
    SYMBOLS,
    is_corrected,
    points,
    short_p,
)
from reproductions.tables.base import Claim
from reproductions.tables.claims import PRIMARY, SECOND_METRIC, Verdicts, inside, tally

PREDICTED_AT = "glyphs"  # the scale of `Claim.predicted`
LEAST_REACH = 2.0  # points, of the axis of intervals


def badge(word: str) -> Markup:
    """The word of a verdict, with a symbol and a colour."""
    text = '<span class="badge {}"><span aria-hidden="true">{}</span> {}</span>'
    return Markup(text).format(word.replace(" ", "-"), SYMBOLS[word], word)


def status(verdict: Verdict | None) -> Markup:
    """The badge of a verdict, and what it is without Holm's correction where that differs."""
    if verdict is None:
        return badge(NOT_RUN)
    other = Markup(" <small>uncorrected: {}</small>").format(verdict.uncorrected)
    return badge(verdict.status) + (other if is_corrected(verdict) else "")


def effect(verdict: Verdict | None, reach: float) -> Markup:
    """`+0.30 [−0.10, +0.70]`, and a picture of it from -reach to reach points.

    The picture is hidden from screen readers; what does not matter is shaded.
    """
    if verdict is None:
        return Markup("")
    interval = f"M{verdict.low:.2f} 0H{verdict.high:.2f}" if verdict.n > 1 else ""
    return Markup(
        ' <span class="number">{}</span> <svg class="bar {}" viewBox="{} -1 {} 2" '
        'preserveAspectRatio="none" aria-hidden="true"><rect x="{}" y="-1" width="{}" height="2"/>'
        '<path class="zero" d="M0 -1V1"/><path d="{}"/><path class="mean" d="M{:.2f} 0h0"/></svg>'
    ).format(
        points(verdict).replace("-", "−"), verdict.status.replace(" ", "-"), -reach, 2 * reach,
        -MARGIN, 2 * MARGIN, interval, verdict.mean,
    )  # fmt: skip


def judged(evidence: Evidence) -> Iterator[tuple[int, Claim, Verdicts]]:
    """Each claim with the number of its table and its verdicts."""
    for number, table in evidence.tables.items():
        for claim in table.claims:
            yield number, claim, evidence.verdicts[number][claim.name]


def reach_of(evidence: Evidence) -> float:
    """Points at the ends of an axis that has all means, and the intervals from three seeds on."""
    found = [by[PRIMARY] for _, _, by in judged(evidence) if PRIMARY in by]
    ends = [end for v in found if v.n >= LEAST_SEEDS for end in (v.low, v.high)]
    return max(LEAST_REACH, *(abs(end) for end in (*ends, *(v.mean for v in found))), 0.0)


def of_paper(sources: dict[str, Evidence]) -> list[Grid]:
    """Claims that test one of the paper's: a table for each method, a column for each source."""
    methods: dict[str, dict[str, dict[str, str]]] = {}
    for source, evidence in sources.items():
        reach = reach_of(evidence)
        for _, claim, verdicts in judged(evidence):
            if claim.paper:
                lines = methods.setdefault(METHODS[claim.left.recipe.method].title, {})
                text = f"{claim.paper}: {claim.statement}"
                verdict = verdicts.get(PRIMARY)
                line = lines.setdefault(text, {"claim": text})
                line[source] = badge(verdict.status if verdict else NOT_RUN) + effect(
                    verdict, reach
                )
    return [
        Grid(pd.DataFrame(lines.values()).fillna("–"), title=name)
        for name, lines in methods.items()
    ]


def predicted(claim: Claim, verdict: Verdict | None) -> str:
    """`+0.50, inside`: the prediction, and whether the interval has it from three seeds on."""
    if claim.predicted is None:
        return "–"
    word = {True: ", inside", False: ", outside", None: ""}[inside(claim, verdict)]
    return f"{claim.predicted:+.2f}{word}".replace("-", "−")


def every_claim(evidence: Evidence) -> Grid:
    """All claims of a scale."""
    reach, lines, verdicts = reach_of(evidence), [], []
    for number, claim, by in judged(evidence):
        verdict = by.get(PRIMARY)
        verdicts += [verdict] if verdict else []
        line = {
            "claim": f"{claim.paper} {claim.statement}".strip(),
            "method": claim.methods,
            "verdict": status(verdict),
            INTERVAL: effect(verdict, reach),
            "seeds": str(verdict.n if verdict else 0),
            "p": short_p(verdict.p) if verdict else "–",
            "p (Holm)": short_p(verdict.p_holm) if verdict else "–",
            METRICS[SECOND_METRIC].title: status(by.get(SECOND_METRIC)),
            "predicted": predicted(claim, verdict) if evidence.scale == PREDICTED_AT else "–",
            "table": str(number),
        }
        lines.append(line)
    title = f"Scale {evidence.scale}: {tally(verdicts)}, {len(lines) - len(verdicts)} {NOT_RUN}"
    return Grid(pd.DataFrame(lines), ("seeds", "p", "p (Holm)", "predicted"), title)
