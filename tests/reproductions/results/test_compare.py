"""Folders of records are compared beyond seeds."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from eqco.artifacts.record import Record, now
from eqco.config import Machine
from reproductions.__main__ import main
from reproductions.results.compare import differences, p_value, pooled_spread, read_runs
from reproductions.scales import SCALES

BASE = SCALES["smoke"].base
ROWS = [replace(BASE, num_negatives=k) for k in (4, 16, 63)]


def write(folder: Path, shift: float, seeds: range, threads: int = 1) -> Path:
    """Records of three rows; the first is shifted."""
    draw = np.random.default_rng(seeds[0])
    for place, recipe in enumerate(ROWS):
        for seed in seeds:
            value = 80 + place + float(draw.normal(0, 0.5)) + shift * (place == 0)
            machine = Machine(threads=threads)
            Record.of(recipe, seed, machine, now(), metrics={"linear": value}).write(folder)
    return folder


def test_a_shifted_row_differs_and_others_do_not(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    a, b = write(tmp_path / "a", 0, range(5)), write(tmp_path / "b", 4, range(5, 9), threads=2)
    found = differences(read_runs(a), read_runs(b))
    assert [each.differs for each in found] == [True, False, False]
    assert found[0].counts == (5, 4)
    assert found[0].points == pytest.approx(4, abs=1)
    assert main(["compare", str(a), str(b)]) == 1
    out = capsys.readouterr().out
    assert "1 of 3 recipes differ beyond seeds, at 5%" in out
    assert "  threads: 1 | 2" in out


def test_a_folder_agrees_with_itself(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    a = write(tmp_path / "a", 0, range(3))
    assert main(["compare", str(a), str(a)]) == 0
    out = capsys.readouterr().out
    assert "0 of 3 recipes differ" in out
    assert "9 of 9 runs of the same recipe and seed have equal metrics" in out
    assert "they were made differently" not in out


def test_a_single_run_is_judged_by_the_spread_of_the_others(tmp_path: Path) -> None:
    a, b = write(tmp_path / "a", 0, range(5)), write(tmp_path / "b", 9, range(5, 6))
    first, *_ = differences(read_runs(a), read_runs(b))
    assert first.differs
    assert first.counts == (5, 1)


def test_without_any_spread_nothing_is_judged(tmp_path: Path) -> None:
    a, b = write(tmp_path / "a", 0, range(1)), write(tmp_path / "b", 9, range(1, 2))
    assert all(math.isnan(each.p) for each in differences(read_runs(a), read_runs(b)))
    assert not any(each.differs for each in differences(read_runs(a), read_runs(b)))


def test_the_test_is_students() -> None:
    from scipy import stats

    draw = np.random.default_rng(0)
    left, right = draw.normal(size=6), draw.normal(0.5, size=4)
    spread = pooled_spread([left, right])
    assert p_value(left, right, *spread) == pytest.approx(stats.ttest_ind(left, right).pvalue)
    assert p_value(left[:1], left[:1], 0.0, 3) == 1.0
    assert p_value(left[:1], right[:1], 0.0, 3) == 0.0


def test_a_folder_without_records_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["compare", str(tmp_path), str(tmp_path)]) == 2
    assert "holds no record" in capsys.readouterr().err
