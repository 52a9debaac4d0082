"""Comparisons of planned experiments: weighted sums of rows, which are named."""

from __future__ import annotations

import math

from reproductions.statistics.verdicts import RELEVANT, Comparison

Prediction = tuple[float, float, float]  # of a mean, and its interval


def recovers(few: str, eqco: str, full: str, predicted: Prediction) -> Comparison:
    """EqCo recovers at least half of what InfoNCE loses with few negatives."""
    weights = {eqco: 1.0, few: -0.5, full: -0.5}
    statement = f"{eqco} recovers at least half of what {few} loses against {full}"
    return Comparison(statement, weights, 0.0, math.inf, predicted)


def remains(eqco: str, full: str, predicted: Prediction) -> Comparison:
    """What remains between EqCo and all negatives is less than half a point."""
    statement = f"{full} minus {eqco} is at most 0.5 points"
    return Comparison(statement, {full: 1.0, eqco: -1.0}, -math.inf, RELEVANT, predicted)


def remains_at(rate: float, bound: float, predicted: Prediction) -> Comparison:
    """What remains between EqCo 16 and EqCo 255 at a learning rate is at most some points."""
    statement = f"at {rate}, EqCo 255 minus EqCo 16 is at most {bound} points"
    weights = {f"EqCo 255 at {rate}": 1.0, f"EqCo 16 at {rate}": -1.0}
    return Comparison(statement, weights, -math.inf, bound, predicted)


def as_eqco(rate: float, k: int, scale: float, predicted: Prediction) -> Comparison:
    """InfoNCE times a constant is as accurate as EqCo at a learning rate."""
    statement = f"at {rate}, InfoNCE {k} times {scale} is within 0.5 points of EqCo {k}"
    weights = {f"InfoNCE {k} x {scale} at {rate}": 1.0, f"EqCo {k} at {rate}": -1.0}
    return Comparison(statement, weights, -RELEVANT, RELEVANT, predicted)


def same_rule(statement: str, size: int, predicted: Prediction) -> Comparison:
    """The linear minus the square-root rule at a batch size, EqCo 16 against all negatives."""
    weights = {
        f"{name}, N {size}, {rule}": sign
        for name, sign_of_linear in (("EqCo 16", 1.0), ("InfoNCE all", -1.0))
        for rule, sign in (("linear", sign_of_linear), ("root", -sign_of_linear))
    }
    return Comparison(statement, weights, -RELEVANT, RELEVANT, predicted)
