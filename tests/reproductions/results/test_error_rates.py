"""Simulated error rates agree with the verdicts of single tables, and with their levels."""

from __future__ import annotations

import numpy as np
import pytest

from reproductions.results.error_rates import decisions, rates
from reproductions.statistics.verdicts import FAILS, HOLDS, judge
from reproductions.tables import table

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
