"""Losses from their formulas, one query at a time."""

from __future__ import annotations

import math

from torch import Tensor


def as_defined(positive: Tensor, negatives: Tensor, temperature: float, alpha: float) -> float:
    """EqCo's loss with plain exp and log, as its docstring defines it."""
    total = 0.0
    for one, row in zip(positive.tolist(), negatives.tolist(), strict=True):
        own = math.exp(one / temperature)
        rest = sum(math.exp(each / temperature) for each in row)
        total -= math.log(own / (own + alpha / len(row) * rest))
    return total / len(positive)
