"""Agreement of runs with the committed evidence and with published numbers."""

import numpy as np
import pytest

from reproductions.statistics import intervals as agreement


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
