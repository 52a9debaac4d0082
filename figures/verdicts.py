"""Forest plot of the primary comparisons: what few negatives cost, and what EqCo gives back."""

import math

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


def draw(frame: pd.DataFrame) -> Figure:
    """What 16 negatives cost, whether half of it is recovered, and what remains."""
    asked = [QUESTIONS[aspect] for aspect in ("falls", "recovers", "level")]
    frame = frame[frame["primary"] & frame["question"].isin(asked)]
    parts = {text: frame[frame["question"] == text].reset_index(drop=True) for text in asked}
    parts = {text: part for text, part in parts.items() if len(part)}
    figure, axes = style.stacked({text: len(part) for text, part in parts.items()})
    for axis, part in zip(axes, parts.values(), strict=True):
        names = part["label"] + " (n = " + part["n"].astype(str) + ")"
        style.forest(axis, part.assign(label=names), RELEVANT)
    axes[-1].set_xlabel("points of accuracy")
    style.legend_below(figure, "bar: 95 % interval of the paired difference; band: half a point")
    return figure


if __name__ == "__main__":
    style.build(compute, draw)
