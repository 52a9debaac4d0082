"""Training curves of the rows, each over the range in which its loss is expected."""

from __future__ import annotations

import math
from dataclasses import dataclass

from markupsafe import Markup

from eqco.losses.functional import LOSSES
from eqco.methods import METHODS
from eqco.recipe import Recipe
from reproductions.reports.html.charts import Curve, curve_plot, numbers
from reproductions.results.report_records import Evidence
from reproductions.tables.base import Row


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
    """The curves of a recipe.

    Attributes:
        title: method, loss and K.
        expected: the range in words, "" where none is known.
        picture: SVG.
    """

    title: str
    expected: str
    picture: Markup


def plot(row: Row, curves: list[Curve]) -> Plot:
    """The plot of a row whose runs have these curves."""
    recipe, top = row.recipe, ceiling(row.recipe)
    title = f"{METHODS[recipe.method].title}, {row.title}, K = {recipe.num_negatives}"
    weight = f"1 + {recipe.num_negatives if recipe.alpha is None else format(recipe.alpha, 'g')}"
    expected = "" if top is None else f"0 to log({weight}) = {top:.2f}"
    start, end = (sum(curve[1][place] for curve in curves) / len(curves) for place in (0, -1))
    seeds = "1 seed" if len(curves) == 1 else f"{len(curves)} seeds"
    label = f"Training loss of {title}: from {start:.2f} to {end:.2f} in the mean of {seeds}"
    label += f"; expected {expected}." if expected else "."
    return Plot(title, expected, curve_plot(curves, top, label))


def plots(evidence: Evidence) -> list[Plot]:
    """A plot for each recipe of the tables that has trained runs with a curve."""
    found = []
    for row, _ in evidence.rows.values():
        curves: list[Curve] = [
            (each.curve["step"], each.curve["loss"])
            for each in evidence.of(row).values()
            if each.curve
        ]
        drawn = [curve for curve in curves if numbers(curve)]
        if drawn:
            found.append(plot(row, drawn))
    return found
