"""Verdicts: the interval is the verdict, and its error rates are those of its level."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from reproductions.statistics.verdicts import (
    FAILS,
    HOLDS,
    OPEN,
    Comparison,
    Verdict,
    judge,
    judge_all,
    share_recovered,
    unless_passed,
    weighted_sums,
)

MORE = Comparison("a is more accurate", {"a": 1, "b": -1}, 0.0, math.inf, (1.0, 0.5, 1.5))
SAME = Comparison("a is b within half a point", {"a": 1, "b": -1}, -0.5, 0.5, (0.0, -0.5, 0.5))
HALF = Comparison("half", {"a": 1, "b": -0.5, "c": -0.5}, 0.0, math.inf, (0.5, 0.0, 1.0))


def values(**rows: list[float]) -> dict[str, dict[int, float]]:
    """Accuracies by row and seed."""
    return {name: dict(enumerate(row)) for name, row in rows.items()}


def judged(comparison: Comparison, differences: list[float], planned: int = 0) -> Verdict:
    """The verdict on differences; judged at their number where nothing else is planned."""
    sums = np.array(differences)
    return judge(sums, comparison.low, comparison.high, planned or len(sums))


@pytest.mark.parametrize(
    ("comparison", "differences", "verdict"),
    [
        (MORE, [0.9, 1.0, 1.1], HOLDS),
        (MORE, [-0.9, -1.0, -1.1], FAILS),
        (MORE, [-1.0, 0.2, 1.0], OPEN),
        (SAME, [-0.1, 0.0, 0.1], HOLDS),
        (SAME, [0.9, 1.0, 1.1], FAILS),
        (SAME, [-0.9, -1.0, -1.1], FAILS),
        (SAME, [0.3, 0.5, 0.7], OPEN),
    ],
)
def test_the_interval_is_the_verdict(
    comparison: Comparison, differences: list[float], verdict: str
) -> None:
    found = judged(comparison, differences)
    assert found.status == verdict
    expected = stats.t.interval(0.95, 2, np.mean(differences), stats.sem(differences))
    assert (found.low, found.high) == pytest.approx(expected)


def test_before_the_planned_number_of_seeds_and_below_three_nothing_is_decided() -> None:
    early = judged(MORE, [1.0, 1.1, 0.9, 1.0], planned=10)
    assert (early.status, early.n, early.planned) == (OPEN, 4, 10)
    assert judged(MORE, [1.0, 1.0]).status == OPEN
    assert judged(MORE, [1.0, 1.1, 0.9]).status == HOLDS
    none = judged(MORE, [], planned=5)
    assert (none.status, none.n, math.isnan(none.mean)) == (OPEN, 0, True)


def test_rows_are_paired_by_seed_over_the_planned_seeds_alone() -> None:
    rows = values(a=[80.0, 85.0, 1.0], b=[79.0, 84.0, 1.0], c=[79.0, 84.0])
    half = HALF.judge(rows, range(3), 1)
    assert (half.mean, half.sd, half.n) == pytest.approx((1.0, 0.0, 2))
    assert HALF.judge({"a": {0: 1.0}}, range(2), 1).n == 0
    assert weighted_sums([{0: 3.0, 5: 9.0}, {0: 1.0, 5: 1.0}], [1, -1], [0]) == pytest.approx([2])


def test_secondary_intervals_are_simultaneous() -> None:
    draw = np.random.default_rng(0)
    rows = values(a=list(80 + draw.normal(size=5)), b=[80.0] * 5)
    primary, *secondary = judge_all([MORE] * 4, rows, [range(5)] * 4)
    assert len({(each.low, each.high) for each in secondary}) == 1
    low, high = stats.t.interval(1 - 0.05 / 3, 4, primary.mean, primary.sd / math.sqrt(5))
    assert (secondary[0].low, secondary[0].high) == pytest.approx((low, high))


def test_a_claim_that_infonce_passes_too_stays_open() -> None:
    passed, not_passed = judged(SAME, [-0.1, 0.0, 0.1]), judged(SAME, [0.9, 1.0, 1.1])
    both = unless_passed(passed, passed)
    assert (both.status, both.passed_by_infonce) == (OPEN, True)
    assert "InfoNCE passes too" in str(both)
    assert unless_passed(passed, not_passed) == passed
    assert unless_passed(not_passed, passed) == not_passed


def test_a_claim_at_its_bound_is_accepted_in_one_of_forty_cases_and_refuted_as_often() -> None:
    draw = np.random.default_rng(1)
    statuses = [judged(MORE, list(draw.normal(0, 0.8, 5))).status for _ in range(4000)]
    assert statuses.count(HOLDS) / 4000 == pytest.approx(0.025, abs=0.008)
    assert statuses.count(FAILS) / 4000 == pytest.approx(0.025, abs=0.008)


def test_the_interval_of_a_share_covers_it_in_95_of_100_cases() -> None:
    draw, share, covered = np.random.default_rng(2), 0.6, 0
    for _ in range(2000):
        few = draw.normal(78, 0.7, 8)
        eqco, full = few + draw.normal(1.2, 0.5, 8), few + draw.normal(2.0, 0.5, 8)
        _, low, high = share_recovered(few, eqco, full)
        covered += low <= share <= high
    assert covered / 2000 == pytest.approx(0.95, abs=0.02)


def test_a_share_of_a_loss_that_may_be_none_has_no_bound() -> None:
    few, full = np.array([80.0, 81.0, 79.0]), np.array([79.0, 81.5, 79.6])
    share, low, high = share_recovered(few, few + 0.1, full)
    assert (low, high) == (-math.inf, math.inf)
    assert math.isfinite(share)
