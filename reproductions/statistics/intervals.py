"""Agreement of runs with other runs: with published numbers, and with the committed evidence."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

from reproductions.statistics.verdicts import LEVEL

# Five trials of MoCo v2, ImageNet, 200 epochs (facebookresearch/moco README): the only spread over
# seeds that is published at this size, so it stands for all of its rows.
TRIALS = (67.7, 67.6, 67.4, 67.6, 67.3)
OUTSIDE = 0.01  # chance that any cell of a correct table falls outside its prediction interval


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
    error = float(np.std(TRIALS, ddof=1)) * math.sqrt(1 / len(measured) + 1 / trials)
    reach = float(stats.t.ppf((1 + LEVEL) / 2, len(TRIALS) - 1)) * error
    return Agreement(float(np.mean(measured)) - published, reach, len(measured))


def prediction_intervals(cells: Mapping[str, Sequence[float]]) -> dict[str, tuple[float, float]]:
    """Prediction intervals of one new run of each cell, with the spread pooled over cells.

    mean +- t * s * sqrt(1 + 1/n), s the standard deviation pooled over cells, t at
    OUTSIDE / (number of cells), two-sided: a correct table has a cell outside its interval in about
    OUTSIDE of all cases.

    Args:
        cells: accuracies by seed for each cell; cells with fewer than two seeds are left out.
    """
    arrays = {name: np.asarray(values) for name, values in cells.items() if len(values) >= 2}
    freedom = sum(len(values) - 1 for values in arrays.values())
    if freedom == 0:
        return {}
    pooled = math.sqrt(sum(((v - v.mean()) ** 2).sum() for v in arrays.values()) / freedom)
    reach = stats.t.ppf(1 - OUTSIDE / len(arrays) / 2, freedom) * pooled
    halves = {name: reach * math.sqrt(1 + 1 / len(values)) for name, values in arrays.items()}
    return {
        name: (float(values.mean() - halves[name]), float(values.mean() + halves[name]))
        for name, values in arrays.items()
    }
