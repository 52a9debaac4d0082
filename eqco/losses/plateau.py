"""Which values a loss has, and whether it has left that of an encoder that has learnt nothing."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor

from eqco.losses.logits import ContrastiveLogits, ExplicitSimilarities

if TYPE_CHECKING:
    from eqco.losses.base import ContrastiveLoss

STUCK, CLOSE = 100, 0.01  # steps at the plateau, and how near to it, before a loss warns


class Expected(NamedTuple):
    """Values of a loss of one query.

    Attributes:
        lowest: the key is the query, all negatives are opposite to it.
        plateau: all similarities are equal, as after a collapse.
        highest: the key is opposite to the query, all negatives are the query.
    """

    lowest: float
    plateau: float
    highest: float


def range_of(loss: ContrastiveLoss, num_negatives: int) -> Expected:
    """The values of a loss with K negatives."""
    cosines = torch.tensor([1.0, 0.0, -1.0], dtype=torch.float64, device="cpu")
    with torch.no_grad():
        similarities = ExplicitSimilarities(cosines, -cosines[:, None].expand(-1, num_negatives))
        return Expected(*loss.of_logits(similarities, "none", float(loss.temperature)).tolist())


def watch(loss: ContrastiveLoss, value: Tensor, logits: ContrastiveLogits) -> None:
    """Count the steps in a row at the plateau, and tell once when they are `STUCK`."""
    count = logits.num_negatives
    if not isinstance(count, int) or torch.compiler.is_compiling():
        return
    lowest, plateau, highest = range_of(loss, count)
    mean = float(value.detach().mean())
    if lowest == highest:  # FlatNCE has one value
        return
    if loss.reduction == "sum":
        mean /= len(logits.positive) * (2 if loss.cross_modal else 1)
    loss.stuck = loss.stuck + 1 if abs(mean - plateau) < CLOSE * abs(plateau) else 0
    if loss.stuck == STUCK:
        warnings.warn(
            f"{type(loss).__name__} has been at {plateau:.2f} for {STUCK} steps, the value of an "
            "encoder that cannot tell the positive from the negatives: see docs/faq.md",
            stacklevel=5,  # of the call of the module
        )
