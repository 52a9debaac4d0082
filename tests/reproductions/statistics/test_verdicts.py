"""Verdicts: correct on clear cases, undetermined on unclear ones, with the stated error rates."""

import itertools
import math

import numpy as np
import pytest
from scipy import stats
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.weightstats import ttost_paired

from reproductions.statistics import verdicts
from reproductions.statistics.verdicts import PValues, Verdict

NOISE = [0.1, -0.1, 0.2, -0.2, 0.0]


def shifted(by: float) -> list[float]:
    """Five accuracies around 80 + by, with the differences of NOISE."""
    return [80 + by + noise for noise in NOISE]


@pytest.mark.parametrize(
    ("gap", "status"),
    [(0.0, "supported"), (0.5, "supported"), (1.0, "undetermined"), (3.0, "contradicted")],
)
def test_equivalence_depends_on_where_the_interval_lies(gap: float, status: str) -> None:
    assert verdicts.equivalent(shifted(gap), [80.0] * 5).status == status


@pytest.mark.parametrize(
    ("gap", "status"),
    [(2.0, "supported"), (0.3, "supported"), (-2.0, "contradicted"), (0.0, "within a point")],
)
def test_better_needs_a_gap_above_zero_and_fails_below_zero(gap: float, status: str) -> None:
    assert verdicts.better(shifted(gap), [80.0] * 5).status == status


def test_better_is_undetermined_where_the_spread_is_large() -> None:
    assert verdicts.better([80, 84, 78, 83], [80, 80, 80, 80]).status == "undetermined"


def test_one_seed_decides_nothing() -> None:
    for test in (verdicts.equivalent, verdicts.better, verdicts.not_inferior):
        verdict = test([90.0], [80.0])
        assert verdict.status == "undetermined"
        assert math.isnan(verdict.p)
        assert "n=1" in str(verdict)


def test_two_seeds_that_agree_decide_nothing() -> None:
    for test in (verdicts.equivalent, verdicts.better, verdicts.not_inferior):
        assert test([90.0, 90.0], [89.5, 89.5]).status == "undetermined"
        assert test([90.0] * 3, [89.5] * 3).status == "supported"


@pytest.mark.parametrize(
    ("gap", "status"),
    [(0.0, "supported"), (-0.5, "supported"), (-1.0, "undetermined"), (-3.0, "contradicted")],
)
def test_not_inferior_allows_a_loss_below_the_margin(gap: float, status: str) -> None:
    assert verdicts.not_inferior(shifted(gap), [80.0] * 5).status == status


def test_pairing_removes_the_variance_that_seeds_share() -> None:
    seeds = np.array([0.0, 5.0, -5.0, 3.0, -3.0])
    paired = verdicts.equivalent(list(80 + seeds + NOISE), list(80 + seeds))
    assert paired.status == "supported"
    assert verdicts.equivalent(list(80 + seeds + NOISE), list(80 - seeds)).status != "supported"


def test_lists_of_different_lengths_are_an_error() -> None:
    with pytest.raises(ValueError, match="2 and 1 values do not pair"):
        verdicts.equivalent([1.0, 2.0], [1.0])


def test_tost_p_value_agrees_with_the_interval() -> None:
    rng = np.random.default_rng(0)
    for _ in range(200):
        left, right = rng.normal(80, 0.6, 5), rng.normal(80.3, 0.6, 5)
        verdict = verdicts.equivalent(list(left), list(right))
        assert (verdict.p < verdicts.LEVEL) == (verdict.status == "supported")


def test_equivalence_is_claimed_wrongly_in_at_most_five_percent_of_trials() -> None:
    """True gap exactly at the margin: 2,000 trials, 3 standard errors of slack (0.015)."""
    rng = np.random.default_rng(1)
    wrong = sum(
        verdicts.equivalent(list(rng.normal(81, 0.5, 5)), [80.0] * 5).status == "supported"
        for _ in range(2000)
    )
    assert wrong / 2000 < verdicts.LEVEL + 0.015


def test_the_number_of_seeds_needed_gives_the_stated_power() -> None:
    """2,000 trials at n = seeds_for_equivalence, true gap 0: power 0.8 within 0.05."""
    rng = np.random.default_rng(2)
    n = verdicts.seeds_for_equivalence(1.0)
    shown = sum(
        verdicts.equivalent(list(rng.normal(80, 1.0, n)), [80.0] * n).status == "supported"
        for _ in range(2000)
    )
    assert shown / 2000 > verdicts.POWER - 0.05
    assert verdicts.equivalence_power(n - 1, 1.0, 1.0) < verdicts.POWER


def test_a_larger_spread_needs_more_seeds() -> None:
    for needed in (verdicts.seeds_for_equivalence, verdicts.seeds_for_difference):
        counts = [needed(sd) for sd in (0.2, 0.5, 1.0, 2.0)]
        assert counts == sorted(counts)
        assert counts[0] < counts[-1]


# Mean and half width of an interval of five seeds, and the verdicts of each test: equivalent,
# better, not_inferior. Every place of both ends to -1, 0 and 1 that an interval can have.
SUP, CON, WITHIN, OPEN = "supported", "contradicted", "within a point", "undetermined"
INTERVALS = {
    (-3.0, -1.5): (CON, CON, CON),
    (-1.5, -0.5): (OPEN, CON, OPEN),
    (-0.8, -0.2): (SUP, CON, SUP),
    (-1.5, 0.5): (OPEN, OPEN, OPEN),
    (-0.3, 0.6): (SUP, WITHIN, SUP),
    (-1.5, 1.5): (OPEN, OPEN, OPEN),
    (-0.5, 1.5): (OPEN, OPEN, SUP),
    (0.2, 0.8): (SUP, SUP, SUP),
    (0.5, 1.5): (OPEN, SUP, SUP),
    (1.5, 3.0): (CON, SUP, SUP),
}
TESTS = (verdicts.equivalent, verdicts.better, verdicts.not_inferior)


def of_interval(low: float, high: float) -> tuple[list[float], list[float]]:
    """Two rows of five seeds, whose difference has this 90 % interval."""
    half = verdicts.interval(np.asarray(NOISE))[1]
    scale = (high - low) / 2 / half
    return [80 + (low + high) / 2 + scale * noise for noise in NOISE], [80.0] * 5


def test_the_intervals_cover_every_place_of_both_ends() -> None:
    def region(end: float) -> int:
        return sum(end > bound for bound in (-1, 0, 1))

    found = {(region(low), region(high)) for low, high in INTERVALS}
    assert found == set(itertools.combinations_with_replacement(range(4), 2))


@pytest.mark.parametrize("ends", INTERVALS, ids=str)
def test_the_verdict_follows_the_table_of_rules(ends: tuple[float, float]) -> None:
    for test, status in zip(TESTS, INTERVALS[ends], strict=True):
        verdict = test(*of_interval(*ends))
        assert (verdict.low, verdict.high) == pytest.approx(ends)
        assert verdict.status == verdict.uncorrected == status, test.__name__


@pytest.mark.parametrize("gap", [-2.0, -0.5, 0.5, 2.0])
def test_rows_without_spread_are_judged_by_their_gap(gap: float) -> None:
    equal = [verdicts.equivalent, verdicts.better, verdicts.not_inferior]
    found = [test([80 + gap] * 3, [80.0] * 3).status for test in equal]
    assert found == [
        SUP if abs(gap) < 1 else CON,
        SUP if gap > 0 else CON,
        SUP if gap > -1 else CON,
    ]
    assert verdicts.better([80.0] * 3, [80.0] * 3).status == WITHIN


def test_p_values_are_those_of_the_library() -> None:
    left, right = np.array([80.1, 80.9, 80.3, 80.6]), np.array([80.0, 80.2, 80.4, 80.1])
    tost = ttost_paired(left, right, -1, 1)[0]
    assert verdicts.equivalent(list(left), list(right)).raw.supported == pytest.approx(tost)
    assert verdicts.better(list(left), list(right)).raw.within == pytest.approx(tost)
    for bound in (-1.0, 0.0, 0.3):
        greater = stats.ttest_1samp(left - right, bound, alternative="greater").pvalue
        assert verdicts.above(left - right, bound) == pytest.approx(greater)
        assert verdicts.below(left - right, bound) == pytest.approx(1 - greater)


def with_p(*p_values: float, n: int = 5) -> Verdict:
    """A verdict with these p-values."""
    raw = PValues(*p_values)
    status = verdicts.status_of(raw, n)
    return Verdict(status, 1.0, 0.5, n, 0.5, 1.5, 4, raw, PValues(), status)


def test_holm_by_hand() -> None:
    """0.01 x 4 = 0.04; 0.02 x 3 = 0.06; 0.03 x 2 = 0.06; 0.04 x 1 is raised to 0.06."""
    assert verdicts.holm([0.03, 0.01, 0.04, 0.02]) == pytest.approx([0.06, 0.04, 0.06, 0.06])
    assert verdicts.holm([0.6, 0.9]) == [1.0, 1.0]
    assert verdicts.holm([]) == []


def test_holm_is_that_of_the_library_and_leaves_nan_out() -> None:
    p_values = list(np.random.default_rng(0).uniform(0, 0.2, 20))
    expected = list(multipletests(p_values, method="holm")[1])
    assert verdicts.holm(p_values) == pytest.approx(expected)
    assert verdicts.holm([math.nan, *p_values])[1:] == pytest.approx(expected)
    assert math.isnan(verdicts.holm([math.nan, *p_values])[0])


def test_each_kind_of_verdict_is_a_family_of_its_own() -> None:
    """Supported: 0.01 x 2 and 0.04; contradicted: 0.02 x 2 for the third, within: 0.03 alone."""
    found = verdicts.correct(
        [with_p(0.01, 0.9), with_p(0.5, 0.02), with_p(0.04, 0.9, 0.03), with_p(0.9, 0.9, math.nan)]
    )
    assert [verdict.status for verdict in found] == [SUP, OPEN, WITHIN, OPEN]
    assert [verdict.uncorrected for verdict in found] == [SUP, CON, SUP, OPEN]
    assert [verdict.p for verdict in found] == [0.01, 0.02, 0.03, 0.9]
    assert [verdict.p_holm for verdict in found] == pytest.approx([0.04, 0.08, 0.03, 1.0])
    assert str(found[1]).endswith("uncorrected: contradicted")


def test_a_claim_alone_is_not_changed_by_correction() -> None:
    for test, ends in itertools.product(TESTS, INTERVALS):
        verdict = test(*of_interval(*ends))
        (corrected,) = verdicts.correct([verdict])
        assert corrected.status == verdict.status
        assert corrected.holm == pytest.approx(verdict.raw, nan_ok=True)


def test_claims_that_are_not_tested_yet_count_in_a_family() -> None:
    few = verdicts.better([90.0, 91.0], [80.0, 80.0])
    found = verdicts.correct([few, with_p(0.01, 0.9), verdicts.better([90.0], [80.0])], without=1)
    assert [verdict.status for verdict in found] == [OPEN, SUP, OPEN]
    assert [math.isnan(verdict.p_holm) for verdict in found] == [True, False, True]
    assert found[1].p_holm == pytest.approx(0.04)
    (open_,) = verdicts.correct([with_p(0.02, 0.9)], without=2)
    assert (open_.status, open_.uncorrected) == (OPEN, SUP)


def test_more_tests_of_a_family_never_raise_its_p_values() -> None:
    all_tested = verdicts.holm([0.01, 0.02, 0.03])
    assert verdicts.holm([0.01, 0.02], untested=1) == pytest.approx(all_tested[:2])
    assert verdicts.holm([0.01], untested=2) == pytest.approx(all_tested[:1])


def test_correction_only_takes_verdicts_away_or_weakens_them() -> None:
    rng = np.random.default_rng(4)
    rank = {SUP: 0, CON: 1, WITHIN: 2, OPEN: 3}
    for _ in range(50):
        plain = [verdicts.better(list(rng.normal(80.3, 0.5, 5)), [80.0] * 5) for _ in range(6)]
        corrected = verdicts.correct(plain)
        assert verdicts.correct(corrected) == corrected
        for before, after in zip(plain, corrected, strict=True):
            assert rank[after.status] >= rank[before.status]
            assert after.p_holm >= after.p


def test_more_seeds_than_planned_are_a_second_look_at_half_the_level() -> None:
    def corrected(n: int, t: float) -> verdicts.Verdict:
        gaps = np.linspace(-1, 1, n)
        gaps += t * gaps.std(ddof=1) / np.sqrt(n)
        (found,) = verdicts.correct([verdicts.better(list(gaps), [0.0] * n, margin=0.1)])
        return found

    planned, more, sure = corrected(10, 2.0), corrected(11, 2.0), corrected(11, 2.5)
    assert verdicts.LEVEL_AGAIN < planned.p_holm < verdicts.LEVEL
    assert verdicts.LEVEL_AGAIN < more.p_holm < verdicts.LEVEL
    assert sure.p_holm < verdicts.LEVEL_AGAIN
    assert [planned.status, more.status, sure.status] == [SUP, OPEN, SUP]
    assert more.uncorrected == SUP  # as the interval says


def test_after_correction_a_table_has_a_wrong_support_in_five_percent_of_trials() -> None:
    """Nine true gaps of 0: 1,000 tables, 3 standard errors of slack (0.021)."""
    rng = np.random.default_rng(5)
    raw = corrected = 0
    for _ in range(1000):
        gaps = rng.normal(0, 0.5, (9, 5))
        p_values = [verdicts.above(gap, 0.0) for gap in gaps]
        raw += min(p_values) < verdicts.LEVEL
        corrected += min(verdicts.holm(p_values)) < verdicts.LEVEL
    assert corrected / 1000 < verdicts.LEVEL + 0.021
    assert raw / 1000 > 0.25
