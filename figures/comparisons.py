"""Forest plot of every comparison of the tables, by question."""

import math

import pandas as pd
from matplotlib.figure import Figure

from figures import style
from reproductions.results.evidence import committed, shown_scales
from reproductions.statistics.verdicts import RELEVANT
from reproductions.tables.base import Claim
from reproductions.tables.claims import HEADLINE_K, PRIMARY

QUESTIONS = {
    "falls": "what few negatives cost: all − InfoNCE",
    "better": "what EqCo gives back: EqCo − InfoNCE",
    "recovers": "is half recovered? EqCo − mean of InfoNCE and all",
    "level": "what remains: EqCo − all",
}
NAMES = ["question", "label", "headline", "status", "mean", "low", "high", "n"]


def label(scale: str, claim: Claim) -> str:
    """Method, K or difference, data and learning rate of a comparison."""
    recipe = claim.left.recipe
    what = f"K = {claim.num_negatives}" if claim.aspect else claim.difference
    return f"{claim.methods}, {what}, {scale}, lr {recipe.learning_rate:g}"


def compute() -> pd.DataFrame:
    """Every comparison of the tables that has an interval; a table asks what has no other question.

    `headline` says whether it is at the K of the paper's headline.
    """
    lines = []
    for scale in shown_scales():
        found = committed(scale)
        for number, claim, by in found.judged():
            verdict = by.get(PRIMARY)
            if verdict is None or math.isnan(verdict.low):
                continue
            title = f"table {number}: {found.tables[number].title}"
            question = QUESTIONS.get(claim.aspect, title)
            named = (question, label(scale, claim), claim.num_negatives == HEADLINE_K)
            measured = (verdict.status, verdict.mean, verdict.low, verdict.high, verdict.n)
            lines.append((*named, *measured))
    return pd.DataFrame(lines, columns=NAMES)


def draw(frame: pd.DataFrame) -> Figure:
    """What few negatives cost, what EqCo gives back, what remains; then table by table."""
    parts = {str(text): part for text, part in frame.groupby("question", sort=False)}
    names = [*(text for text in QUESTIONS.values() if text in parts), *parts]
    ordered = {text: parts[text].reset_index(drop=True) for text in dict.fromkeys(names)}
    figure, axes = style.stacked({text: len(part) for text, part in ordered.items()})
    for axis, part in zip(axes, ordered.values(), strict=True):
        named = part["label"] + " (n = " + part["n"].astype(str) + ")"
        style.forest(axis, part.assign(label=named), RELEVANT)
    axes[-1].set_xlabel("points of accuracy")
    style.legend_below(figure, "bar: 95 % interval of the paired difference; band: half a point")
    return figure


if __name__ == "__main__":
    style.build(compute, draw)
