"""Forest plot of the primary comparisons: what few negatives cost, and what EqCo gives back."""

import math
from typing import Any

import pandas as pd
from matplotlib.figure import Figure

from figures import style
from reproductions.results.evidence import committed, shown_scales
from reproductions.statistics.verdicts import RELEVANT
from reproductions.tables.base import Claim
from reproductions.tables.claims import PRIMARY

QUESTIONS = {
    "falls": "what few negatives cost: all − InfoNCE",
    "recovers": "is more than half recovered? EqCo − mean of InfoNCE and all",
    "level": "what remains: EqCo − all",
    "": "other comparisons",
}
NAMES = ["question", "label", "primary", "status", "mean", "low", "high", "n"]


def label(scale: str, claim: Claim) -> str:
    """Method, K or difference, data and learning rate of a comparison."""
    recipe = claim.left.recipe
    what = f"K = {claim.num_negatives}" if claim.aspect else claim.difference
    return f"{claim.methods}, {what}, {scale}, lr {recipe.learning_rate:g}"


def compute() -> pd.DataFrame:
    """Every comparison of the tables that has an interval, by question."""
    lines = []
    for scale in shown_scales():
        found = committed(scale)
        for number, made in found.tables.items():
            for claim in made.claims:
                verdict = found.verdicts[number][claim.name].get(PRIMARY)
                if verdict is None or math.isnan(verdict.low) or claim.aspect == "better":
                    continue
                lines.append(
                    {
                        "question": QUESTIONS[claim.aspect],
                        "label": label(scale, claim),
                        "primary": claim.name == made.primary or claim.num_negatives == 16,
                        "status": verdict.status,
                        "mean": verdict.mean,
                        "low": verdict.low,
                        "high": verdict.high,
                        "n": verdict.n,
                    }
                )
    return pd.DataFrame(lines, columns=NAMES)


def forest(frame: pd.DataFrame) -> Figure:
    """A line for each comparison, a panel for each question; the band does not matter."""
    frame = frame.assign(place=range(len(frame)))
    questions = [text for text in QUESTIONS.values() if text in set(frame["question"])]
    counts = [int((frame["question"] == text).sum()) for text in questions]
    figure, axes = style.stacked(counts, questions)
    for axis, text in zip(axes, questions, strict=True):
        part = frame[frame["question"] == text].reset_index(drop=True)
        axis.axvspan(-RELEVANT, RELEVANT, color="0.92", zorder=0)
        axis.axvline(0, color=style.GRAY, linewidth=0.7)
        for status, lines in part.groupby("status"):
            look: Any = {"color": style.COLOURS[str(status)], "fmt": style.MARKERS[str(status)]}
            reach = [lines["mean"] - lines["low"], lines["high"] - lines["mean"]]
            axis.errorbar(lines["mean"], -lines.index, xerr=reach, label=status, ms=4, lw=1, **look)
        names = [f"{name} (n = {n})" for name, n in zip(part["label"], part["n"], strict=True)]
        axis.set_yticks([-place for place in part.index], names)
        axis.set_ylim(-len(part) + 0.4, 0.6)
    axes[-1].set_xlabel("points of accuracy")
    style.legend_below(figure, "bar: 95 % interval of the paired difference; band: half a point")
    return figure


def draw(frame: pd.DataFrame) -> Figure:
    """The comparisons of table 1 and 2 at K = 16: the answer of this project."""
    asked = frame["question"].isin([QUESTIONS["falls"], QUESTIONS["recovers"], QUESTIONS["level"]])
    return forest(frame[frame["primary"] & asked])


if __name__ == "__main__":
    style.build(compute, draw)
