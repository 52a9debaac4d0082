"""Claims C2 and C3 from the records: the paper's bound, and the gradient, at the end of training.

N queries, K negatives, alpha the effective number of negatives. The paper's bound on the mutual
information is log(1 + alpha) - L, with alpha = K for InfoNCE. Where alpha > K it is not a bound.
The gradient of a query has the length (1 - pi_0) / t times that of a mean of keys.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import pandas as pd

from eqco.artifacts.record import Record
from eqco.losses.registry import LOSSES
from reproductions.results.evidence import committed

LAST = 5  # points of the loss curve: a single one is the loss of one batch
CELL = ["method", "learning_rate", "loss", "num_negatives"]


def end_of_training(record: Record) -> dict[str, object]:
    """Bound in nats and 1 - pi_0 of a run, with what it is a run of."""
    recipe, losses = record.recipe, record.curve["loss"][-LAST:]
    effective = LOSSES[recipe.loss].effective_negatives(recipe.num_negatives, recipe.alpha)
    return {
        **{name: getattr(recipe, name) for name in CELL},
        "seed": record.seed,
        "epochs": recipe.epochs,
        "bound": math.log1p(effective) - sum(losses) / len(losses),
        "gradient": record.diagnostics["one_minus_pi0"],
    }


def plain(record: Record) -> bool:
    """Whether a run is of InfoNCE or of EqCo with the paper's alpha, nothing else changed."""
    recipe = record.recipe
    usual = (recipe.draws, recipe.drawing, recipe.loss_scale, recipe.variance_penalty)
    return (
        recipe.loss in ("infonce", "eqco")
        and recipe.epochs > 0
        and recipe.temperature == 0.2
        and usual == (1, "independent", 1.0, 0.0)
        and recipe.alpha in (None, float(recipe.pool()))
        and not recipe.validation
    )


def values(scale: str) -> pd.DataFrame:
    """A line for each run of a scale whose epochs are those of most of its runs."""
    runs = pd.DataFrame(map(end_of_training, filter(plain, committed(scale).records)))
    return runs[runs["epochs"] == runs["epochs"].mode()[0]] if len(runs) else runs


def ranges(scale: str) -> pd.DataFrame:
    """How far bound and gradient differ between the K of a method, learning rate and loss.

    Columns: method, learning_rate, loss, the least and largest K, and for "bound" and "gradient"
    the largest mean over seeds minus the smallest.
    """
    runs = values(scale)
    if runs.empty:
        return runs
    means = runs.groupby(CELL)[["bound", "gradient"]].mean().reset_index("num_negatives")
    cells = means.groupby(CELL[:3])
    spans = (cells.max() - cells.min())[["bound", "gradient"]]
    counts = cells["num_negatives"].agg(least="min", most="max")
    table: pd.DataFrame = counts.join(spans)[cells.size() > 1].reset_index()
    return table


def worst(scales: Sequence[str], name: str, loss: str) -> float:
    """The largest range of "bound" or "gradient" over all methods, learning rates and scales.

    nan where no loss has runs of two K.
    """
    spans = pd.concat([ranges(scale) for scale in scales])
    return math.nan if spans.empty else float(spans.loc[spans["loss"] == loss, name].max())
