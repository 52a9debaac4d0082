"""Comparisons that were planned: a weighted sum of rows, and an interval that is the verdict.

Runs of one seed share weights, batches and views, so the sum is taken seed by seed. The verdict is
read off a t-interval of its mean:

    holds           the interval lies inside the claim
    does not hold   it lies outside
    open            neither, or fewer seeds than were planned

An experiment has one primary comparison, judged at 95 %; its secondary ones have simultaneous 95 %
intervals (Bonferroni). It is judged once, at the number of seeds that was planned.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

LEVEL = 0.95
HOLDS, FAILS, OPEN = VERDICTS = ("holds", "does not hold", "open")
RELEVANT = 0.5  # points: what remains between EqCo and all negatives matters from here on

Values = Mapping[str, Mapping[int, float]]  # accuracy in percent by row, then by seed


@dataclass(frozen=True)
class Comparison:
    """A weighted sum of the accuracies of rows, in points, and what is claimed of its mean.

    Attributes:
        statement: the claim.
        weights: by row; they sum to 0.
        low, high: the claim is that the mean lies between them; None is without bound.
        predicted: the mean, and the interval it should fall in, before any run.
    """

    statement: str
    weights: Mapping[str, float]
    low: float | None
    high: float | None
    predicted: tuple[float, float, float]

    def sums(self, values: Values, seeds: Sequence[int]) -> np.ndarray:
        """The weighted sum of each seed that every row has, in the order of the seeds."""
        rows = [values.get(name, {}) for name in self.weights]
        shared = [seed for seed in seeds if all(seed in row for row in rows)]
        weights = np.array(list(self.weights.values()))
        accuracies = np.array([[row[seed] for row in rows] for seed in shared])
        sums: np.ndarray = accuracies.reshape(len(shared), len(rows)) @ weights
        return sums

    def verdict(self, low: float, high: float) -> str:
        """One of `VERDICTS`, from the interval of the mean; nan is open."""
        least = -math.inf if self.low is None else self.low
        most = math.inf if self.high is None else self.high
        if least < low and high < most:
            return HOLDS
        return FAILS if high < least or most < low else OPEN


@dataclass(frozen=True)
class Outcome:
    """What the runs say of a comparison.

    Attributes:
        comparison: which.
        mean, sd, low, high: of the weighted sum, points; nan where unknown.
        n, planned: seeds that every row has, and those that were planned.
        verdict: one of `VERDICTS`.
    """

    comparison: Comparison
    mean: float
    sd: float
    low: float
    high: float
    n: int
    planned: int
    verdict: str

    @property
    def as_predicted(self) -> bool | None:
        """Whether the mean fell into the predicted interval; None before the planned n."""
        _, low, high = self.comparison.predicted
        return low <= self.mean <= high if self.n == self.planned else None


def mean_interval(values: np.ndarray, level: float = LEVEL) -> tuple[float, float]:
    """Two-sided t-interval of the mean; nan below two values."""
    if len(values) < 2:
        return math.nan, math.nan
    half = stats.t.ppf((1 + level) / 2, len(values) - 1) * values.std(ddof=1)
    half /= math.sqrt(len(values))
    return float(values.mean() - half), float(values.mean() + half)


def judge(
    comparison: Comparison, values: Values, seeds: Sequence[int], simultaneous: int = 1
) -> Outcome:
    """The outcome of a comparison.

    Args:
        comparison: which.
        values: accuracies of its rows by seed; other seeds than the planned ones are left out.
        seeds: the planned ones.
        simultaneous: of how many comparisons the intervals hold together.
    """
    sums = comparison.sums(values, seeds)
    n = len(sums)
    low, high = mean_interval(sums, 1 - (1 - LEVEL) / simultaneous)
    verdict = comparison.verdict(low, high) if n == len(seeds) else OPEN
    mean = float(sums.mean()) if n else math.nan
    sd = float(sums.std(ddof=1)) if n > 1 else math.nan
    return Outcome(comparison, mean, sd, low, high, n, len(seeds), verdict)


def judge_all(
    comparisons: Sequence[Comparison], values: Values, seeds: Sequence[Sequence[int]]
) -> list[Outcome]:
    """Outcomes of an experiment: the first comparison is primary, the others are secondary.

    Args:
        comparisons: in order.
        values: accuracies of all rows by seed.
        seeds: the planned ones of each comparison.
    """
    return [
        judge(each, values, planned, 1 if place == 0 else len(comparisons) - 1)
        for place, (each, planned) in enumerate(zip(comparisons, seeds, strict=True))
    ]


def share_recovered(
    few: np.ndarray, eqco: np.ndarray, full: np.ndarray, level: float = LEVEL
) -> tuple[float, float, float]:
    """Share of what few negatives lose that EqCo recovers, and Fieller's interval of it.

    (EqCo - InfoNCE) / (full - InfoNCE), a ratio of means. Where the loss may be zero the interval
    is without bound.

    Args:
        few, eqco, full: accuracies in percent of the same seeds, shape (n,), n >= 2.
        level: of the interval.

    Returns:
        share, low, high.
    """
    gained, lost = eqco - few, full - few
    n, t = len(few), float(stats.t.ppf((1 + level) / 2, len(few) - 1))
    (vg, cov), (_, vl) = np.cov(gained, lost) / n * t**2
    g, m = float(gained.mean()), float(lost.mean())
    a, b, c = m * m - vl, g * m - cov, g * g - vg
    root = b * b - a * c
    if a <= 0 or root < 0:
        return g / m, -math.inf, math.inf
    return g / m, (b - math.sqrt(root)) / a, (b + math.sqrt(root)) / a
