"""Verdicts: a weighted sum of rows, and an interval of its mean that is the verdict.

Runs of one seed share weights, batches and views, so accuracies are compared seed by seed. What is
claimed of the mean of a sum is a range, and the verdict is read off its t-interval:

    holds           the interval lies inside the range
    does not hold   it lies outside
    open            neither, or there are fewer seeds than were planned

A table or an experiment has one primary comparison, judged at 95 %; the others are secondary and
have simultaneous 95 % intervals (Bonferroni). They are judged once, at the planned number of seeds.
A comparison that InfoNCE passes too says nothing about EqCo: it stays open.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np
from scipy import stats

LEVEL = 0.95
HOLDS, FAILS, OPEN = STATUSES = ("holds", "does not hold", "open")
RELEVANT = 0.5  # points: differences of accuracy that matter begin here
LEAST_SEEDS = 3  # two may agree by chance, and their interval says nothing then
CHANGED = "2026-11-29"  # the day of these rules, after the data of the tables were seen

Points = TypeVar("Points", float, np.ndarray)
Values = Mapping[str, Mapping[int, float]]  # accuracy in percent by row, then by seed


@dataclass(frozen=True)
class Comparison:
    """A weighted sum of the accuracies of rows, in points, and what is claimed of its mean.

    Attributes:
        statement: the claim.
        weights: by row; they sum to 0.
        low, high: the claim is that the mean lies between them; infinite without bound.
        predicted: the mean, and the interval it should fall in, before any run.
    """

    statement: str
    weights: Mapping[str, float]
    low: float
    high: float
    predicted: tuple[float, float, float]

    def judge(self, values: Values, seeds: Sequence[int], simultaneous: int) -> Verdict:
        """The verdict over the planned seeds, see `judge`."""
        rows = [values.get(name, {}) for name in self.weights]
        sums = weighted_sums(rows, list(self.weights.values()), seeds)
        return judge(sums, self.low, self.high, len(seeds), simultaneous=simultaneous)


@dataclass(frozen=True)
class Verdict:
    """What the runs say of a claim.

    Attributes:
        status: one of `STATUSES`.
        mean, sd: of the weighted sum over seeds, points; nan where unknown.
        low, high: interval of the mean that decides; nan below two seeds.
        n, planned: seeds that every row has, and those that were planned.
        passed_by_infonce: whether it would hold but InfoNCE passes the same test.
    """

    status: str
    mean: float
    sd: float
    low: float
    high: float
    n: int
    planned: int
    passed_by_infonce: bool = False

    @property
    def alone(self) -> tuple[float, float]:
        """95 % interval of the mean as if it were the only one, by which predictions are judged."""
        return t_interval(self.mean, self.sd, self.n)

    @property
    def count(self) -> str:
        """`n=5`, or `n=3 of 5` before the planned number of seeds."""
        return f"n={self.n}" if self.n == self.planned else f"n={self.n} of {self.planned}"

    def __str__(self) -> str:
        if self.n < 2:
            return f"{self.status}: {self.mean:+.2f} points, n={self.n}, no spread is known"
        also = ", which InfoNCE passes too" if self.passed_by_infonce else ""
        return (
            f"{self.status}: {self.mean:+.2f} points [{self.low:+.2f}, {self.high:+.2f}], "
            f"sd {self.sd:.2f}, {self.count}{also}"
        )


def weighted_sums(
    rows: Sequence[Mapping[int, float]], weights: Sequence[float], seeds: Sequence[int]
) -> np.ndarray:
    """Weighted sums of accuracies, for each of the seeds that every row has, in their order."""
    shared = [seed for seed in seeds if all(seed in row for row in rows)]
    accuracies = np.array([[row[seed] for row in rows] for seed in shared])
    sums: np.ndarray = accuracies.reshape(len(shared), len(rows)) @ np.array(weights)
    return sums


def t_interval(mean: Points, sd: Points, n: int, level: float = LEVEL) -> tuple[Points, Points]:
    """Two-sided t-interval of the mean of n values, or of several means; nan below two."""
    if n < 2:
        return mean * math.nan, mean * math.nan
    half = float(stats.t.ppf((1 + level) / 2, n - 1)) * sd / math.sqrt(n)
    return mean - half, mean + half


def mean_interval(values: np.ndarray) -> tuple[float, float]:
    """95 % t-interval of the mean of some values; nan below two."""
    if len(values) < 2:
        return math.nan, math.nan
    return t_interval(float(values.mean()), float(values.std(ddof=1)), len(values))


def level_of(simultaneous: int) -> float:
    """Level of each of several intervals that hold simultaneously at 95 % (Bonferroni)."""
    return 1 - (1 - LEVEL) / simultaneous


def interval_status(interval: tuple[float, float], low: float, high: float) -> str:
    """The status of a claim that a mean lies between two bounds, from its interval."""
    if low < interval[0] and interval[1] < high:
        return HOLDS
    return FAILS if interval[1] < low or high < interval[0] else OPEN


def judge(
    sums: np.ndarray, low: float, high: float, planned: int, *, simultaneous: int = 1
) -> Verdict:
    """The verdict on a claim that a mean lies between two bounds.

    Args:
        sums: weighted sums by seed, points, shape (n,).
        low, high: the bounds, which may be infinite.
        planned: number of seeds at which it is judged.
        simultaneous: number of claims whose intervals hold simultaneously.
    """
    n = len(sums)
    mean = float(sums.mean()) if n else math.nan
    sd = float(sums.std(ddof=1)) if n > 1 else math.nan
    interval = t_interval(mean, sd, n, level_of(simultaneous))
    decided = n >= max(planned, LEAST_SEEDS)
    status = interval_status(interval, low, high) if decided else OPEN
    return Verdict(status, mean, sd, *interval, n, planned)


def unless_passed(verdict: Verdict, infonce: Verdict) -> Verdict:
    """The verdict, open where it would hold and InfoNCE passes the same test."""
    if verdict.status == HOLDS and infonce.status == HOLDS:
        return replace(verdict, status=OPEN, passed_by_infonce=True)
    return verdict


def together(place: int, comparisons: int) -> int:
    """With how many, itself counted, the interval of a comparison holds; 0 is the primary one."""
    return comparisons - 1 if place else 1


def judge_all(
    comparisons: Sequence[Comparison], values: Values, seeds: Sequence[Sequence[int]]
) -> list[Verdict]:
    """Verdicts of an experiment: the first comparison is primary, the others are secondary.

    Args:
        comparisons: in order.
        values: accuracies of all rows by seed.
        seeds: the planned ones of each comparison.
    """
    return [
        comparison.judge(values, planned, together(place, len(comparisons)))
        for place, (comparison, planned) in enumerate(zip(comparisons, seeds, strict=True))
    ]


def share_recovered(
    few: np.ndarray, eqco: np.ndarray, full: np.ndarray
) -> tuple[float, float, float]:
    """Share of what few negatives lose that EqCo recovers, and its 95 % interval by Fieller.

    (EqCo - InfoNCE) / (full - InfoNCE), a ratio of means. Where the loss may be zero the interval
    is without bound.

    Args:
        few, eqco, full: accuracies in percent of the same seeds, shape (n,), n >= 2.

    Returns:
        share, low, high.
    """
    gained, lost = eqco - few, full - few
    n, t = len(few), float(stats.t.ppf((1 + LEVEL) / 2, len(few) - 1))
    (vg, cov), (_, vl) = np.cov(gained, lost) / n * t**2
    g, m = float(gained.mean()), float(lost.mean())
    a, b, c = m * m - vl, g * m - cov, g * g - vg
    root = b * b - a * c
    if a <= 0 or root < 0:
        return g / m, -math.inf, math.inf
    return g / m, (b - math.sqrt(root)) / a, (b + math.sqrt(root)) / a
