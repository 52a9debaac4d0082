"""Training curves of the rows, each over the range in which its loss is expected."""

from __future__ import annotations

import math
from dataclasses import dataclass

from eqco.losses.registry import LOSSES
from eqco.methods import METHODS
from eqco.recipe import Recipe
from reproductions.results.evidence import Evidence


def ceiling(recipe: Recipe) -> float | None:
    """log(1 + alpha), or log(1 + K) without alpha: the loss where all similarities are equal.

    None for losses that have none there (DCL, FlatNCE, SogCLR) or scale it (dual temperature).
    """
    loss = LOSSES[recipe.loss]
    if loss.limit is not None or loss.setting == "second_temperature":
        return None
    return math.log1p(loss.effective_negatives(recipe.num_negatives, recipe.alpha))


@dataclass(frozen=True)
class Plot:
    """The curves of a row.

    Attributes:
        title: method, loss and K.
        text: first and last loss, and the expected range.
        ceiling: upper end of the expected range, 0 where none is known.
        steps, top: ends of the axes.
        lines: points of each seed's curve as SVG has them, the loss upwards.
    """

    title: str
    text: str
    ceiling: float
    steps: float
    top: float
    lines: list[str]


def plots(evidence: Evidence) -> list[Plot]:
    """A plot for each recipe of the tables that has trained runs with a curve."""
    found = []
    for recipe, (row, _) in evidence.rows.items():
        records = evidence.of(row).values()
        curves = [each.curve for each in records if len(each.curve.get("step", ())) > 1]
        if not curves:
            continue
        expected, losses = ceiling(recipe), [curve["loss"] for curve in curves]
        start, end = (sum(each[place] for each in losses) / len(losses) for place in (0, -1))
        steps = max(curve["step"][-1] for curve in curves)
        text = f"mean loss from {start:.2f} to {end:.2f} in {steps:,.0f} steps; "
        text += "no expected range" if expected is None else f"expected 0 to {expected:.2f}"
        pairs = [zip(curve["step"], curve["loss"], strict=True) for curve in curves]
        found.append(
            Plot(
                title=f"{METHODS[recipe.method].title}, {row.title}, K = {recipe.num_negatives}",
                text=text,
                ceiling=expected or 0.0,
                steps=steps,
                top=1.05 * max(expected or 0.0, *map(max, losses)),
                lines=[" ".join(f"{s:.0f},{-loss:.2f}" for s, loss in each) for each in pairs],
            )
        )
    return found
