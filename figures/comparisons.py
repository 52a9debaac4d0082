"""Forest plot of every comparison of the tables, by question."""

import pandas as pd
from matplotlib.figure import Figure

from figures import style
from reproductions.results.evidence import committed, shown_scales
from reproductions.statistics.verdicts import RELEVANT
from reproductions.tables.base import Claim
from reproductions.tables.claims import HEADLINE_K, PRIMARY

QUESTIONS = {
    "falls": "InfoNCE with K negatives is less accurate: with all − with K",
    "better": "EqCo with K negatives is more accurate: EqCo − InfoNCE",
    "recovers": "EqCo recovers at least half: EqCo − mean of InfoNCE with K and EqCo with all",
    "level": "what remains is at most half a point: EqCo with all − EqCo with K",
}
NAMES = ["question", "label", "headline", "status", "mean", "low", "high", "n"]


def label(scale: str, claim: Claim) -> str:
    """Method, K or difference, data and learning rate of a comparison."""
    recipe = claim.left.recipe
    what = f"K = {claim.num_negatives}" if claim.aspect else claim.difference
    return f"{claim.methods}, {what}, {scale}, lr {recipe.learning_rate:g}"


def compute() -> pd.DataFrame:
    """Every comparison with its planned seeds, by question, or by table where it has none.

    `headline`: whether it is at the K of the paper's headline.
    """
    lines = []
    for scale in shown_scales():
        evidence = committed(scale)
        for number, claim, verdicts in evidence.judged():
            verdict = verdicts.get(PRIMARY)
            if verdict is None or verdict.n < verdict.planned:
                continue
            title = f"table {number}: {evidence.tables[number].title}"
            question = QUESTIONS.get(claim.aspect, title)
            labels = (question, label(scale, claim), claim.num_negatives == HEADLINE_K)
            ends = (verdict.mean, verdict.low, verdict.high)
            if claim.aspect == "level":  # what is lost, as in the first question
                ends = (-verdict.mean, -verdict.high, -verdict.low)
            lines.append((*labels, verdict.status, *ends, verdict.n))
    return pd.DataFrame(lines, columns=NAMES)


def draw(frame: pd.DataFrame) -> Figure:
    """What few negatives cost, what EqCo gives back, what remains; then table by table."""
    parts = {str(text): part for text, part in frame.groupby("question", sort=False)}
    names = [*(text for text in QUESTIONS.values() if text in parts), *parts]
    ordered = {text: parts[text].reset_index(drop=True) for text in dict.fromkeys(names)}
    figure, axes = style.stacked({text: len(part) for text, part in ordered.items()})
    for axis, (question, part) in zip(axes, ordered.items(), strict=True):
        named = part["label"] + " (n = " + part["n"].astype(str) + ")"
        band = RELEVANT if question == QUESTIONS["level"] else 0.0
        style.forest(axis, part.assign(label=named), band)
    axes[-1].set_xlabel("points of top-1 accuracy")
    title = (
        "bar: 95 % interval of the paired difference, simultaneous over the secondary claims of a "
        "table; colour: verdict on the title"
    )
    style.legend_below(figure, title)
    return figure


if __name__ == "__main__":
    style.build(compute, draw)
