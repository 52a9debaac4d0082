"""The suite's own measures: a metric's effect, and what pairing by seed is worth."""

from __future__ import annotations

import math

import pytest

from eqco.evaluation.metrics import METRICS
from reproductions.reports import sensitivity
from tests import synthetic
from tests.reproductions.conftest import Commit

LUCK = {0: 0.5, 1: -0.5, 2: 1.5, 3: -1.5}


def test_pairing_takes_away_what_rows_share() -> None:
    left = {seed: 80 + luck for seed, luck in LUCK.items()}
    right = {seed: 81 + luck for seed, luck in LUCK.items()}
    pair = sensitivity.pair(left, right)
    assert (pair.n, pair.effect, pair.sd, pair.gain) == (4, -1.0, 0.0, 0.0)
    assert pair.sharpness == math.inf
    assert pair.correlation == pytest.approx(1.0)


def test_pairing_is_worth_nothing_for_rows_without_correlation() -> None:
    left, right = {0: 1.0, 1: -1.0, 2: 1.0, 3: -1.0}, {0: 1.0, 1: 1.0, 2: -1.0, 3: -1.0}
    pair = sensitivity.pair(left, right)
    assert pair.correlation == pytest.approx(0.0)
    assert pair.gain == pytest.approx(1.0)


def test_opposite_luck_makes_pairing_harmful() -> None:
    pair = sensitivity.pair(LUCK, {seed: -luck for seed, luck in LUCK.items()})
    assert pair.gain == pytest.approx(2**0.5)


def test_two_seeds_measure_nothing_and_a_constant_row_has_no_correlation() -> None:
    assert sensitivity.pair({0: 1.0, 1: 2.0, 2: 3.0}, {1: 1.0, 2: 2.0, 5: 3.0}) is None
    pair = sensitivity.pair(LUCK, dict.fromkeys(LUCK, 2.0))
    assert math.isnan(pair.correlation)


def test_the_section_has_a_line_for_each_metric(commit: Commit) -> None:
    commit(synthetic.records_of([1], grid=False))
    lines = sensitivity.section().splitlines()
    for metric in METRICS.values():
        assert any(line.startswith(f"| {metric.title} | 4 | ") for line in lines)


def test_without_seeds_the_section_says_what_it_needs(commit: Commit) -> None:
    commit(synthetic.records_of([1], grid=False, seeds=range(2)))
    sentence = "both rows need 3 seeds: `pytest reproductions/ -k table1 --seeds 3`"
    assert sentence in sensitivity.section()
