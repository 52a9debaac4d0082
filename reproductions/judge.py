"""Verdicts on claims, from paired differences over seeds. n seeds; accuracies in percentage points.

Each claim is tested at 5 %, with three seeds at least. Runs with the same seed share weights,
batches and views, so the difference of two rows is taken seed by seed.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats
from statsmodels.stats.power import TTestPower
from statsmodels.stats.weightstats import DescrStatsW, ttost_paired

# Points of top-1. MoCo v2 at 200 epochs differs by 1.2 points between five codebases (66.4 to
# 67.6): a gap below one point is one this field does not tell apart.
MARGIN = 1.0
LEVEL = 0.05
POWER = 0.8
MOST_SEEDS = 200
LEAST_SEEDS = 3  # two may agree by chance, and their interval says nothing then


@dataclass(frozen=True)
class Verdict:
    """Outcome of a claim's test over seeds.

    Attributes:
        status: "supported", "contradicted" or "undetermined".
        mean: mean paired difference, points.
        sd: its standard deviation over seeds, points; nan below two seeds.
        n: seeds.
        low, high: 90 % interval of the mean difference (both one-sided 95 % bounds).
        p: p-value of the test for the claim; nan below two seeds.
        seeds_needed: seeds for a power of 80 % at a margin of one point; 0 where unknown.
    """

    status: str
    mean: float
    sd: float
    n: int
    low: float
    high: float
    p: float
    seeds_needed: int

    def __str__(self) -> str:
        if self.n < 2:
            return f"{self.status}: {self.mean:+.2f} points, n={self.n}, no spread is known"
        return (
            f"{self.status}: {self.mean:+.2f} points, 90 % interval [{self.low:+.2f}, "
            f"{self.high:+.2f}], sd {self.sd:.2f}, n={self.n}, p={self.p:.2g}, "
            f"{self.seeds_needed} seeds give 80 % power"
        )


def interval(differences: np.ndarray) -> tuple[float, float]:
    """Two-sided 90 % t-interval of the mean; the differences themselves where all are equal."""
    if np.ptp(differences) == 0:
        return float(differences[0]), float(differences[0])
    low, high = DescrStatsW(differences).tconfint_mean(alpha=2 * LEVEL)
    return float(low), float(high)


def equivalence_power(n: int, sd: float, margin: float) -> float:
    """Approximate power of a paired TOST at a true difference of 0."""
    df = n - 1
    reach = math.sqrt(n) * margin / sd - stats.t.ppf(1 - LEVEL, df)
    return max(0.0, float(2 * stats.t.cdf(reach, df) - 1))


def seeds_for_equivalence(sd: float, margin: float = MARGIN) -> int:
    """Seeds for 80 % power to show equivalence within `margin`, were the difference 0."""
    if sd == 0:
        return 2
    enough = (n for n in range(2, MOST_SEEDS) if equivalence_power(n, sd, margin) >= POWER)
    return next(enough, MOST_SEEDS)


def seeds_for_difference(sd: float, margin: float = MARGIN) -> int:
    """Seeds for 80 % power to show, one-sided, a difference of `margin`."""
    if sd == 0:
        return 2
    test = TTestPower()
    enough = (
        n
        for n in range(2, MOST_SEEDS)
        if test.power(margin / sd, n, LEVEL, alternative="larger") >= POWER
    )
    return next(enough, MOST_SEEDS)


def settled(status: str, differences: np.ndarray) -> str:
    """The status, or "undetermined" where there are too few seeds for one."""
    return status if len(differences) >= LEAST_SEEDS else "undetermined"


def paired(left: Sequence[float], right: Sequence[float]) -> np.ndarray:
    """left - right, seed by seed.

    Raises:
        ValueError: the lists do not pair, or are empty.
    """
    if len(left) != len(right) or not left:
        raise ValueError(f"{len(left)} and {len(right)} values do not pair by seed")
    differences: np.ndarray = np.subtract(left, right, dtype=float)
    return differences


def single(differences: np.ndarray) -> Verdict:
    """The verdict on a single seed, which is always "undetermined"."""
    mean, nan = float(differences[0]), math.nan
    return Verdict("undetermined", mean, nan, 1, nan, nan, nan, 0)


def equivalent(left: Sequence[float], right: Sequence[float], margin: float = MARGIN) -> Verdict:
    """Do two rows agree within `margin` points? Two one-sided paired t-tests (TOST).

    Supported where the 90 % interval of left - right lies within +-margin, contradicted where it
    lies wholly outside, undetermined otherwise.

    Args:
        left, right: accuracies by seed, in the same order of seeds.
        margin: points.
    """
    differences = paired(left, right)
    if len(differences) < 2:
        return single(differences)
    low, high = interval(differences)
    inside = -margin < low and high < margin
    outside = high < -margin or low > margin
    sd = float(differences.std(ddof=1))
    p = float(ttost_paired(np.asarray(left), np.asarray(right), -margin, margin)[0]) if sd else 0.0
    status = "supported" if inside else "contradicted" if outside else "undetermined"
    needed = seeds_for_equivalence(sd, margin)
    status = settled(status, differences)
    return Verdict(status, float(differences.mean()), sd, len(differences), low, high, p, needed)


def above(differences: np.ndarray, floor: float, ceiling: float, margin: float) -> Verdict:
    """One-sided t-test of a mean above `floor`.

    Supported where the one-sided 95 % lower bound is above `floor`, contradicted where the upper
    bound is below `ceiling`; `margin` is the difference that the power is stated for, points.
    """
    if len(differences) < 2:
        return single(differences)
    low, high = interval(differences)
    sd, mean = float(differences.std(ddof=1)), float(differences.mean())
    p = float(stats.ttest_1samp(differences, floor, alternative="greater").pvalue) if sd else 0.0
    status = "supported" if low > floor else "contradicted" if high < ceiling else "undetermined"
    needed = seeds_for_difference(sd, margin)
    status = settled(status, differences)
    return Verdict(status, mean, sd, len(differences), low, high, p, needed)


def better(left: Sequence[float], right: Sequence[float], margin: float = MARGIN) -> Verdict:
    """Is the left row the better one? One-sided paired t-test.

    Supported where the one-sided 95 % lower bound of left - right is above 0; contradicted where
    the upper bound is below `margin`, so that any advantage is smaller than the margin;
    undetermined otherwise.

    Args:
        left, right: accuracies by seed, in the same order of seeds.
        margin: points.
    """
    return above(paired(left, right), 0.0, margin, margin)


def not_inferior(left: Sequence[float], right: Sequence[float], margin: float = MARGIN) -> Verdict:
    """Is the left row at most `margin` points worse? One-sided paired t-test.

    Supported where the one-sided 95 % lower bound of left - right is above -margin; contradicted
    where the upper bound is below -margin; undetermined otherwise.

    Args:
        left, right: accuracies by seed, in the same order of seeds.
        margin: points.
    """
    return above(paired(left, right), -margin, -margin, margin)


# Five trials of MoCo v2, ImageNet, 200 epochs (facebookresearch/moco README): the only spread over
# seeds that is published at this size, so it stands for all of its rows.
TRIALS = (67.7, 67.6, 67.4, 67.6, 67.3)


@dataclass(frozen=True)
class Agreement:
    """A measured mean beside a published number, percentage points.

    Attributes:
        difference: measured - published.
        reach: the largest difference of two correct means in 95 of 100 cases.
        n: our seeds.
    """

    difference: float
    reach: float
    n: int

    @property
    def holds(self) -> bool:
        """Whether the difference is within reach."""
        return abs(self.difference) <= self.reach

    def __str__(self) -> str:
        verdict = "agrees" if self.holds else "does not agree"
        return (
            f"{self.difference:+.2f} points from the published number (n={self.n}), which "
            f"{verdict}: 95 % of correct runs lie within {self.reach:.2f}"
        )


def near_published(measured: Sequence[float], published: float, trials: int = 1) -> Agreement:
    """Does the mean of our runs agree with a published number, as two means of its kind would?

    The difference is compared with t(4) * s * sqrt(1 / n + 1 / trials), two-sided at 5 %, s the
    standard deviation of `TRIALS`. The spread between codebases is larger: MoCo v2 at 200 epochs
    is between 66.4 and 67.6 in five of them.

    Args:
        measured: accuracies of our seeds, percent; one at least.
        published: the number, percent.
        trials: of how many runs it is the mean.
    """
    if not len(measured):
        raise ValueError(f"there is no measured accuracy to compare with {published}")
    error = float(np.std(TRIALS, ddof=1)) * math.sqrt(1 / len(measured) + 1 / trials)
    reach = float(stats.t.ppf(1 - LEVEL / 2, len(TRIALS) - 1)) * error
    return Agreement(float(np.mean(measured)) - published, reach, len(measured))


def prediction_intervals(
    cells: Mapping[str, Sequence[float]], family_level: float = 0.01
) -> dict[str, tuple[float, float]]:
    """Prediction intervals of one new run of each cell, with the spread pooled over cells.

    mean +- t * s * sqrt(1 + 1/n), s the standard deviation pooled over cells, t at
    family_level / (number of cells), two-sided: a correct table has a cell outside its interval
    in about family_level of all cases.

    Args:
        cells: accuracies by seed for each cell; cells with fewer than two seeds are left out.
        family_level: chance that any cell of a correct table falls outside.
    """
    known = {name: np.asarray(values) for name, values in cells.items() if len(values) >= 2}
    freedom = sum(len(values) - 1 for values in known.values())
    if freedom == 0:
        return {}
    pooled = math.sqrt(sum(((v - v.mean()) ** 2).sum() for v in known.values()) / freedom)
    reach = stats.t.ppf(1 - family_level / len(known) / 2, freedom) * pooled
    return {
        name: (
            float(values.mean() - reach * math.sqrt(1 + 1 / len(values))),
            float(values.mean() + reach * math.sqrt(1 + 1 / len(values))),
        )
        for name, values in known.items()
    }
