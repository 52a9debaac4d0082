"""Claims on the page: those of the paper in a table for each method, all of them folded."""

from __future__ import annotations

import pandas as pd
from markupsafe import Markup, escape

from eqco.methods import METHODS
from reproductions.reports.grids import claim_grid
from reproductions.results.evidence import Evidence
from reproductions.statistics.verdicts import LEAST_SEEDS, RELEVANT, Verdict
from reproductions.statistics.wording import NOT_RUN, SYMBOLS, points
from reproductions.tables.claims import PRIMARY, tally
from reproductions.tables.formats import Grid

LEAST_REACH = 2.0  # points, of the axis of intervals


def badge(word: str) -> Markup:
    """The word of a verdict, with a symbol and a colour."""
    text = '<span class="badge {}"><span aria-hidden="true">{}</span> {}</span>'
    return Markup(text).format(word.replace(" ", "-"), SYMBOLS[word], word)


def cell(text: str) -> Markup:
    """A text of a table; a verdict becomes a badge."""
    word, _, more = text.partition(" (")
    if word not in SYMBOLS:
        return escape(text)
    return badge(word) + Markup(" <small>{}</small>").format(more.rstrip(")"))


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
        -RELEVANT, 2 * RELEVANT, interval, verdict.mean,
    )  # fmt: skip


def linear_verdicts(evidence: Evidence) -> list[Verdict]:
    """Verdicts on all claims by the linear probe."""
    return [verdicts[PRIMARY] for _, _, verdicts in evidence.judged() if PRIMARY in verdicts]


def axis_reach(evidence: Evidence) -> float:
    """Points at the ends of an axis that has all means, and the intervals from three seeds on."""
    verdicts = linear_verdicts(evidence)
    values = [verdict.mean for verdict in verdicts]
    values += [end for v in verdicts if v.n >= LEAST_SEEDS for end in (v.low, v.high)]
    return max([LEAST_REACH, *map(abs, values)])


def paper_claims(sources: dict[str, Evidence]) -> list[Grid]:
    """Claims that test one of the paper's: a table for each method, a column for each source.

    Sources that have no run of a method are left out of its table.
    """
    methods: dict[str, dict[str, dict[str, str]]] = {}
    for source, evidence in sources.items():
        reach = axis_reach(evidence)
        for _, claim, verdicts in evidence.judged():
            if claim.paper and claim.aspect != "better":  # "recovers" says more
                lines = methods.setdefault(METHODS[claim.left.recipe.method].title, {})
                text = f"{claim.paper}: {claim.statement}"
                verdict = verdicts.get(PRIMARY)
                word = verdict.status if verdict else NOT_RUN
                cell = badge(word) + effect(verdict, reach)
                lines.setdefault(text, {"claim": text})[source] = cell
    grids = []
    for name, lines in methods.items():
        frame = pd.DataFrame(lines.values(), dtype=object).fillna("–")
        run = [title for title in frame if set(frame[title]) != {badge(NOT_RUN)}]
        grids.append(Grid(frame[run], title=name))
    return grids


def every_claim(evidence: Evidence) -> Grid:
    grids = {number: claim_grid(evidence, number) for number in evidence.tables}
    frame = pd.concat([grid.frame.assign(table=str(n)) for n, grid in grids.items()])
    verdicts = linear_verdicts(evidence)
    title = f"Scale {evidence.scale}: {tally(verdicts)}, {len(frame) - len(verdicts)} {NOT_RUN}"
    return Grid(frame.fillna("–"), grids[1].numbers, title)
