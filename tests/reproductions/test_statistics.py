"""Verdicts, intervals and their wording; error rates are those of the level."""

from __future__ import annotations

import math
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from scipy import stats

from eqco.evaluation.metrics import packed, percent
from reproductions.results.error_rates import decisions, rates
from reproductions.statistics import intervals as agreement
from reproductions.statistics.bootstrap import interval_over_both, right_images
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
from reproductions.statistics.wording import points, short_p, word
from reproductions.tables import table

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


# How verdicts are written.


LOST = Verdict(HOLDS, -1.2, 0.6, -1.75, -0.7, n=5, planned=5)


@pytest.mark.parametrize(
    ("p", "text"),
    [
        (1.0, "1"), (0.999, "1"), (0.5, ".5"), (0.321, ".32"), (0.0496, ".050"), (0.007, ".007"),
        (0.00012, "1e-4"), (1e-12, "≈0"), (0.0, "≈0"), (math.nan, "–"),
    ],
)  # fmt: skip
def test_p_values_have_four_characters_at_most(p: float, text: str) -> None:
    assert short_p(p) == text


def test_a_verdict_has_its_interval_its_seeds_and_a_mark_where_infonce_passes_too() -> None:
    assert points(LOST, 1) == "-1.2 [-1.8, -0.7]"
    assert points(replace(LOST, n=1), 1) == "-1.2"
    early = replace(LOST, status=OPEN, n=3)
    assert (word(early), early.count, word(None)) == ("open", "n=3 of 5", "–")
    both = replace(LOST, status=OPEN, passed_by_infonce=True)
    assert word(both) == "open*"


# Agreement of runs with the committed evidence and with published numbers.


def test_prediction_intervals_hold_for_the_whole_table_at_once() -> None:
    """8 cells, 5 seeds of evidence: a correct table has a cell outside in about 1 % of trials."""
    rng = np.random.default_rng(3)
    outside = 0
    for _ in range(1000):
        evidence = {str(c): list(rng.normal(80 + c, 0.5, 5)) for c in range(8)}
        intervals = agreement.prediction_intervals(evidence)
        new = {str(c): rng.normal(80 + c, 0.5) for c in range(8)}
        outside += any(not intervals[c][0] <= new[c] <= intervals[c][1] for c in new)
    assert outside / 1000 < 0.02
    assert outside > 0


def test_prediction_intervals_need_two_seeds() -> None:
    assert agreement.prediction_intervals({"a": [80.0], "b": []}) == {}


def test_agreement_with_a_published_number_follows_the_five_trials() -> None:
    """sd 0.164 and t(4) = 2.776: one run beside five trials may be 0.50 points away."""
    near, far = (agreement.near_published([own], 67.5, trials=5) for own in (67.9, 68.1))
    assert near.reach == pytest.approx(2.776 * 0.1643 * (1 + 1 / 5) ** 0.5, rel=1e-3)
    assert near.holds
    assert not far.holds
    assert "+0.60 points from the published number (n=1), which does not agree" in str(far)


def test_more_of_our_seeds_narrow_the_agreement() -> None:
    one, five = (agreement.near_published([67.5] * n, 67.5).reach for n in (1, 5))
    assert one / five == pytest.approx((2 / 1.2) ** 0.5)


# Intervals over seeds and images.


def record_of(right: np.ndarray, accuracy: float | None = None) -> Any:
    """What a record says of the images that its run got right."""
    text, measured = packed(torch.from_numpy(right)), percent(torch.from_numpy(right))
    metrics = {"linear": measured if accuracy is None else accuracy}
    return SimpleNamespace(run_id="r", correct={"linear": text}, metrics=metrics)


@pytest.mark.parametrize("count", [1, 7, 8, 4669, 10_000])
def test_the_images_of_a_record_are_found_without_their_number(count: int) -> None:
    right = np.random.default_rng(count).random(count) < 0.6
    right[0] = True
    found = right_images(record_of(right), "linear")
    np.testing.assert_array_equal(found, right)
    assert right_images(record_of(right), "knn") is None
    with pytest.raises(ValueError, match="of r do not give its accuracy"):
        right_images(record_of(right, 12.34567), "linear")


def test_the_interval_covers_the_mean_of_other_seeds_and_images() -> None:
    """Rows whose accuracy depends on seed and image; the truth is 3 points, in 95 of 100 trials."""
    generator, seeds, images, inside = np.random.default_rng(0), 8, 400, 0
    for _ in range(60):
        hard, luck = generator.normal(size=images), 0.02 * generator.normal(size=(2, seeds, 1))
        chance = 1 / (1 + np.exp(-hard)) * 0.9 + 0.05
        made = [
            generator.random((seeds, images)) < chance + gain + luck[place]
            for place, gain in enumerate((0.0, 0.03))
        ]
        rows = [dict(enumerate(right)) for right in made]
        found = interval_over_both(rows, [-1.0, 1.0], range(seeds))
        inside += found[0] < 3.0 < found[1]
    assert inside >= 52  # of 60; fewer have a chance of one in a thousand at 95 %


def test_images_alone_and_seeds_alone_have_the_width_of_their_mean() -> None:
    """Equal seeds leave the spread over images, equal images that over seeds: 1.96 sd / root n."""
    generator = np.random.default_rng(0)
    none, images = np.zeros(900, dtype=bool), generator.random(900) < 0.3
    by_seed = generator.random(40) < 0.3
    for first, values in (
        ({seed: images for seed in range(40)}, images),
        ({seed: none | right for seed, right in enumerate(by_seed)}, by_seed),
    ):
        found = interval_over_both([first, dict.fromkeys(range(40), none)], [1.0, -1.0], range(40))
        width = 2 * 1.96 * 100 * values.std() / len(values) ** 0.5
        assert found[1] - found[0] == pytest.approx(width, rel=0.1)


def test_a_row_without_a_planned_seed_gives_no_interval() -> None:
    right = np.array([True, False])
    assert interval_over_both([{0: right}, {0: right, 1: right}], [1.0, -1.0], [0, 1]) is None


# Simulated error rates agree with the verdicts of single tables, and with their levels.


TABLE = table(1, "glyphs")


def test_decisions_are_those_of_single_verdicts() -> None:
    sums = np.random.default_rng(0).normal(0.3, 0.8, (200, 6))
    for claim in TABLE.claims[:4]:
        several = TABLE.simultaneous(claim)
        holds, fails = decisions(sums, (claim.low, claim.high), several)
        for row, now, never in zip(sums, holds, fails, strict=True):
            status = judge(row, claim.low, claim.high, 6, simultaneous=several).status
            assert (now, never) == (status == HOLDS, status == FAILS)


def test_equal_tables_have_a_wrong_primary_verdict_in_5_of_100_and_more_with_two_looks() -> None:
    equal = {row.name: 80.0 for row in TABLE.rows}
    one, two = rates(TABLE, equal, [10]), rates(TABLE, equal, [5, 10])
    assert one[0] == pytest.approx(0.05, abs=0.01)
    assert one[1] < 0.1
    assert two[0] > one[0] + 0.01


def test_large_differences_are_decided_and_rightly() -> None:
    means = {row.name: 80.0 - 10 * (row.recipe.loss == "infonce") for row in TABLE.rows}
    primary, anywhere, decided = rates(TABLE, means, [5])
    assert (primary, anywhere) == (0.0, pytest.approx(0.05, abs=0.05))
    assert decided > 0.5
