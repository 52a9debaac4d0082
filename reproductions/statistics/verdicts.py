"""Verdicts on claims, from paired differences over seeds. n seeds; accuracies in percentage points.

Runs with the same seed share weights, batches and views, so the difference left - right of two
rows is taken seed by seed. [low, high] is the 90 % interval of its mean, both one-sided 95 %
bounds; m is the margin, one point. The first verdict of a line whose condition holds is given:

| claim          | supported            | contradicted        | within a point      |
| -------------- | -------------------- | ------------------- | ------------------- |
| `equivalent`   | -m < low and high < m | high < -m or m < low | the same as supported |
| `better`       | 0 < low              | high < 0            | -m < low and high < m |
| `not_inferior` | -m < low             | high < -m           | part of supported   |

Else, and below three seeds, the verdict is "undetermined". So "more accurate" at [-0.3, +0.6] is
within a point, at [+0.1, +0.6] supported and at [-0.6, -0.1] contradicted: where the sign is known
it is told. Each condition is a t-test at 5 %, and its p-value is below 0.05 exactly where it holds.

`correct` applies Holm's correction to the claims of a table, those not tested yet included. Each
column above is a family: the p-values of all claims for "supported" are corrected together, so are
those for "contradicted", and those of `better` for "within a point". The verdict is then given by
the corrected p-values, so in at most 5 % of tables any verdict of one kind is wrong.

Tables are planned with ten seeds. More of them are a second look at the same claims, after which a
corrected p-value counts below 2.5 %: with both looks it is at most 7.5 % of tables.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from scipy import special, stats
from statsmodels.stats.power import TTestPower
from statsmodels.stats.weightstats import DescrStatsW

# Points of top-1. MoCo v2 at 200 epochs differs by 1.2 points between five codebases (66.4 to
# 67.6): a gap below one point is one this field does not tell apart.
MARGIN = 1.0
LEVEL = 0.05
LEVEL_AGAIN = 0.025  # of a second look, with more seeds than were planned
PLANNED_SEEDS = 10
POWER = 0.8
MOST_SEEDS = 200
LEAST_SEEDS = 3  # two may agree by chance, and their interval says nothing then


class PValues(NamedTuple):
    """p-values of the tests behind a verdict, in the order in which they decide.

    Attributes:
        supported, contradicted, within: of a verdict's condition; nan where there is no test.
    """

    supported: float = math.nan
    contradicted: float = math.nan
    within: float = math.nan


STATUSES = ("supported", "contradicted", "within a point")  # in the order of PValues
UNDETERMINED = "undetermined"


@dataclass(frozen=True)
class Verdict:
    """Outcome of a claim's test over seeds.

    Attributes:
        status: one of STATUSES, or "undetermined"; after Holm's correction where there was one.
        mean: mean paired difference, points.
        sd: its standard deviation over seeds, points; nan below two seeds.
        n: seeds.
        low, high: 90 % interval of the mean difference (both one-sided 95 % bounds).
        seeds_needed: seeds for a power of 80 % at a margin of one point, without correction; 0
            where unknown.
        raw: p-values without correction; nan below two seeds.
        holm: p-values after Holm's correction; nan where there was none.
        uncorrected: the status without correction.
    """

    status: str
    mean: float
    sd: float
    n: int
    low: float
    high: float
    seeds_needed: int
    raw: PValues
    holm: PValues
    uncorrected: str

    @property
    def decisive(self) -> int:
        """Where the p-value of the status stands; where it is undetermined, of the uncorrected one.

        That of "supported" where both are undetermined.
        """
        named = self.uncorrected if self.status == UNDETERMINED else self.status
        return STATUSES.index(named) if named in STATUSES else 0

    @property
    def p(self) -> float:
        """The decisive p-value without correction."""
        return self.raw[self.decisive]

    @property
    def p_holm(self) -> float:
        """The decisive p-value after Holm's correction; nan where there was none."""
        return self.holm[self.decisive]

    def __str__(self) -> str:
        if self.n < 2:
            return f"{self.status}: {self.mean:+.2f} points, n={self.n}, no spread is known"
        holm = "" if math.isnan(self.p_holm) else f" (Holm {self.p_holm:.2g})"
        other = "" if self.status == self.uncorrected else f"; uncorrected: {self.uncorrected}"
        return (
            f"{self.status}: {self.mean:+.2f} points, 90 % interval [{self.low:+.2f}, "
            f"{self.high:+.2f}], sd {self.sd:.2f}, n={self.n}, p={self.p:.2g}{holm}, "
            f"{self.seeds_needed} seeds give 80 % power{other}"
        )


def status_of(p_values: PValues, n: int, level: float = LEVEL) -> str:
    """The first status whose p-value is below the level, given three seeds or more."""
    if n < LEAST_SEEDS:
        return UNDETERMINED
    found = (s for s, p in zip(STATUSES, p_values, strict=True) if p < level)  # nan is not below
    return next(found, UNDETERMINED)


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


def paired(left: Sequence[float], right: Sequence[float]) -> np.ndarray:
    """left - right, seed by seed.

    Raises:
        ValueError: the lists do not pair, or are empty.
    """
    if len(left) != len(right) or not left:
        raise ValueError(f"{len(left)} and {len(right)} values do not pair by seed")
    differences: np.ndarray = np.subtract(left, right, dtype=float)
    return differences


def above(differences: np.ndarray, bound: float) -> float:
    """p-value of a mean above `bound`: one-sided t-test; 0 or 1 where all differences are equal."""
    if np.ptp(differences) == 0:
        return 0.0 if differences[0] > bound else 1.0
    n = len(differences)
    t = (differences.mean() - bound) / differences.std(ddof=1) * math.sqrt(n)
    return float(special.stdtr(n - 1, -t))  # stats.ttest_1samp takes 20 times as long


def below(differences: np.ndarray, bound: float) -> float:
    """p-value of a mean below `bound`."""
    return above(-differences, -bound)


def inside(differences: np.ndarray, margin: float) -> float:
    """p-value of a mean within +-margin: two one-sided t-tests (TOST)."""
    return max(above(differences, -margin), below(differences, margin))


def outside(differences: np.ndarray, margin: float) -> float:
    """p-value of a mean beyond +-margin, the smaller one of both sides."""
    return min(below(differences, -margin), above(differences, margin))


def verdict_of(differences: np.ndarray, raw: PValues, seeds_needed: int) -> Verdict:
    """The verdict that p-values give; needs two seeds."""
    n, status = len(differences), status_of(raw, len(differences))
    mean, sd = float(differences.mean()), float(differences.std(ddof=1))
    low, high = interval(differences)
    return Verdict(status, mean, sd, n, low, high, seeds_needed, raw, PValues(), status)


def single(differences: np.ndarray) -> Verdict:
    """The verdict on a single seed, which is always "undetermined"."""
    mean, nan = float(differences[0]), math.nan
    none = PValues()
    return Verdict(UNDETERMINED, mean, nan, 1, nan, nan, 0, none, none, UNDETERMINED)


def equivalent(left: Sequence[float], right: Sequence[float], margin: float = MARGIN) -> Verdict:
    """Do two rows agree within `margin` points? Two one-sided paired t-tests (TOST).

    Args:
        left, right: accuracies by seed, in the same order of seeds.
        margin: points.
    """
    differences = paired(left, right)
    if len(differences) < 2:
        return single(differences)
    raw = PValues(inside(differences, margin), outside(differences, margin))
    return verdict_of(differences, raw, seeds_for_equivalence(differences.std(ddof=1), margin))


def better(left: Sequence[float], right: Sequence[float], margin: float = MARGIN) -> Verdict:
    """Is the left row the better one? One-sided paired t-tests.

    Args:
        left, right: accuracies by seed, in the same order of seeds.
        margin: points; of "within a point", and of the power.
    """
    differences = paired(left, right)
    if len(differences) < 2:
        return single(differences)
    raw = PValues(above(differences, 0.0), below(differences, 0.0), inside(differences, margin))
    return verdict_of(differences, raw, seeds_for_difference(differences.std(ddof=1), margin))


def not_inferior(left: Sequence[float], right: Sequence[float], margin: float = MARGIN) -> Verdict:
    """Is the left row at most `margin` points worse? One-sided paired t-tests.

    Args:
        left, right: accuracies by seed, in the same order of seeds.
        margin: points.
    """
    differences = paired(left, right)
    if len(differences) < 2:
        return single(differences)
    raw = PValues(above(differences, -margin), below(differences, -margin))
    return verdict_of(differences, raw, seeds_for_difference(differences.std(ddof=1), margin))


def holm(p_values: Sequence[float], untested: int = 0) -> list[float]:
    """p-values of a family after Holm's correction; nan stays, and does not count.

    The i-th smallest of m is multiplied by m - i + 1, and is at least as large as those before it.

    Args:
        p_values: of the tests that were made.
        untested: of the same family, yet to be made; they count as the largest p-values.

    >>> [round(p, 2) for p in holm([0.01, 0.04, 0.03])]
    [0.03, 0.06, 0.06]
    """
    known = [place for place, p in enumerate(p_values) if not math.isnan(p)]
    family = len(known) + untested
    found, floor = [math.nan] * len(p_values), 0.0
    for before, place in enumerate(sorted(known, key=lambda place: p_values[place])):
        floor = max(floor, min(1.0, (family - before) * float(p_values[place])))
        found[place] = floor
    return found


def correct(verdicts: Sequence[Verdict], without: int = 0) -> list[Verdict]:
    """Verdicts of one family, such as the claims of a table, after Holm's correction.

    A claim with fewer than three seeds stays as it is. It counts in the family all the same: else a
    table would be corrected less the less of it was run.

    Args:
        verdicts: of the claims whose rows share a seed.
        without: claims of the family that have no verdict yet.
    """
    tested = [verdict for verdict in verdicts if verdict.n >= LEAST_SEEDS]
    untested = len(verdicts) - len(tested) + without
    columns = [
        holm([verdict.raw[column] for verdict in tested], untested)
        for column in range(len(STATUSES))
    ]
    corrected = iter(PValues(*p_values) for p_values in zip(*columns, strict=True))
    found = []
    for verdict in verdicts:
        if verdict.n >= LEAST_SEEDS:
            p_values = next(corrected)
            level = LEVEL if verdict.n <= PLANNED_SEEDS else LEVEL_AGAIN
            status = status_of(p_values, verdict.n, level)
            verdict = replace(verdict, status=status, holm=p_values)
        found.append(verdict)
    return found
