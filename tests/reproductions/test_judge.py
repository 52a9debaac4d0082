"""Verdicts: correct on clear cases, undetermined on unclear ones, with the stated error rates."""

import math

import numpy as np
import pytest

from reproductions import judge

NOISE = [0.1, -0.1, 0.2, -0.2, 0.0]


def shifted(by: float) -> list[float]:
    """Five accuracies around 80 + by, with the differences of NOISE."""
    return [80 + by + noise for noise in NOISE]


@pytest.mark.parametrize(
    ("gap", "status"),
    [(0.0, "supported"), (0.5, "supported"), (1.0, "undetermined"), (3.0, "contradicted")],
)
def test_equivalence_depends_on_where_the_interval_lies(gap: float, status: str) -> None:
    assert judge.equivalent(shifted(gap), [80.0] * 5).status == status


@pytest.mark.parametrize(
    ("gap", "status"),
    [(2.0, "supported"), (0.3, "supported"), (-2.0, "contradicted"), (0.0, "contradicted")],
)
def test_better_needs_a_gap_above_zero_and_fails_below_the_margin(gap: float, status: str) -> None:
    assert judge.better(shifted(gap), [80.0] * 5).status == status


def test_better_is_undetermined_where_the_spread_is_large() -> None:
    assert judge.better([80, 84, 78, 83], [80, 80, 80, 80]).status == "undetermined"


def test_one_seed_decides_nothing() -> None:
    for test in (judge.equivalent, judge.better, judge.not_inferior):
        verdict = test([90.0], [80.0])
        assert verdict.status == "undetermined"
        assert math.isnan(verdict.p)
        assert "n=1" in str(verdict)


def test_two_seeds_that_agree_decide_nothing() -> None:
    for test in (judge.equivalent, judge.better, judge.not_inferior):
        assert test([90.0, 90.0], [89.5, 89.5]).status == "undetermined"
        assert test([90.0] * 3, [89.5] * 3).status == "supported"


@pytest.mark.parametrize(
    ("gap", "status"),
    [(0.0, "supported"), (-0.5, "supported"), (-1.0, "undetermined"), (-3.0, "contradicted")],
)
def test_not_inferior_allows_a_loss_below_the_margin(gap: float, status: str) -> None:
    assert judge.not_inferior(shifted(gap), [80.0] * 5).status == status


def test_pairing_removes_the_variance_that_seeds_share() -> None:
    seeds = np.array([0.0, 5.0, -5.0, 3.0, -3.0])
    paired = judge.equivalent(list(80 + seeds + NOISE), list(80 + seeds))
    assert paired.status == "supported"
    assert judge.equivalent(list(80 + seeds + NOISE), list(80 - seeds)).status != "supported"


def test_lists_of_different_lengths_are_an_error() -> None:
    with pytest.raises(ValueError, match="2 and 1 values do not pair"):
        judge.equivalent([1.0, 2.0], [1.0])


def test_tost_p_value_agrees_with_the_interval() -> None:
    rng = np.random.default_rng(0)
    for _ in range(200):
        left, right = rng.normal(80, 0.6, 5), rng.normal(80.3, 0.6, 5)
        verdict = judge.equivalent(list(left), list(right))
        assert (verdict.p < judge.LEVEL) == (verdict.status == "supported")


def test_equivalence_is_claimed_wrongly_in_at_most_five_percent_of_trials() -> None:
    """True gap exactly at the margin: 2,000 trials, 3 standard errors of slack (0.015)."""
    rng = np.random.default_rng(1)
    wrong = sum(
        judge.equivalent(list(rng.normal(81, 0.5, 5)), [80.0] * 5).status == "supported"
        for _ in range(2000)
    )
    assert wrong / 2000 < judge.LEVEL + 0.015


def test_the_number_of_seeds_needed_gives_the_stated_power() -> None:
    """2,000 trials at n = seeds_for_equivalence, true gap 0: power 0.8 within 0.05."""
    rng = np.random.default_rng(2)
    n = judge.seeds_for_equivalence(1.0)
    shown = sum(
        judge.equivalent(list(rng.normal(80, 1.0, n)), [80.0] * n).status == "supported"
        for _ in range(2000)
    )
    assert shown / 2000 > judge.POWER - 0.05
    assert judge.equivalence_power(n - 1, 1.0, 1.0) < judge.POWER


def test_a_larger_spread_needs_more_seeds() -> None:
    for needed in (judge.seeds_for_equivalence, judge.seeds_for_difference):
        counts = [needed(sd) for sd in (0.2, 0.5, 1.0, 2.0)]
        assert counts == sorted(counts)
        assert counts[0] < counts[-1]


def test_prediction_intervals_hold_for_the_whole_table_at_once() -> None:
    """8 cells, 5 seeds of evidence: a correct table has a cell outside in about 1 % of trials."""
    rng = np.random.default_rng(3)
    outside = 0
    for _ in range(1000):
        evidence = {str(c): list(rng.normal(80 + c, 0.5, 5)) for c in range(8)}
        intervals = judge.prediction_intervals(evidence)
        new = {str(c): rng.normal(80 + c, 0.5) for c in range(8)}
        outside += any(not intervals[c][0] <= new[c] <= intervals[c][1] for c in new)
    assert outside / 1000 < 0.02
    assert outside > 0


def test_prediction_intervals_need_two_seeds() -> None:
    assert judge.prediction_intervals({"a": [80.0], "b": []}) == {}


def test_agreement_with_a_published_number_follows_the_five_trials() -> None:
    """sd 0.164 and t(4) = 2.776: one run beside five trials may be 0.50 points away."""
    near, far = (
        judge.near_published([67.9], 67.5, trials=5),
        judge.near_published([68.1], 67.5, trials=5),
    )
    assert near.reach == pytest.approx(2.776 * 0.1643 * (1 + 1 / 5) ** 0.5, rel=1e-3)
    assert near.holds
    assert not far.holds
    assert "+0.60 points from the published number (n=1), which does not agree" in str(far)


def test_more_of_our_seeds_narrow_the_agreement() -> None:
    one, five = (judge.near_published([67.5] * n, 67.5).reach for n in (1, 5))
    assert one / five == pytest.approx((2 / 1.2) ** 0.5)
    with pytest.raises(ValueError, match=r"no measured accuracy to compare with 67.5"):
        judge.near_published([], 67.5)
