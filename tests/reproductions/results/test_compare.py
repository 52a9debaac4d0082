"""Folders of records are compared beyond seeds."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from eqco.artifacts.record import Record, now
from eqco.config import Machine
from reproductions.results.compare import differences, read_runs
from reproductions.scales import SCALES
from tests.conftest import Command

BASE = SCALES["smoke"].base
SEEDS = {"a": range(6), "b": range(6, 10)}
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
    tmp_path: Path, run_reproductions: Command
) -> None:
    a, b = write(tmp_path / "a", 0, range(5)), write(tmp_path / "b", 4, range(5, 9), threads=2)
    found = differences(read_runs(a), read_runs(b))
    assert list(found["p"] < 0.05) == [True, False, False]
    first = found.iloc[0]
    assert (first["count A"], first["count B"]) == (5, 4)
    assert first["points"] == pytest.approx(4, abs=1)
    text = run_reproductions("compare", a, b, status=1)
    assert "1 of 3 recipes differ beyond seeds, at 5%" in text
    assert "  threads: 1 | 2" in text


def test_a_folder_agrees_with_itself(tmp_path: Path, run_reproductions: Command) -> None:
    a = write(tmp_path / "a", 0, range(3))
    text = run_reproductions("compare", a, a)
    assert "0 of 3 recipes differ" in text
    assert "9 of 9 runs of the same recipe and seed have equal metrics" in text
    assert "they were made differently" not in text


def test_a_single_run_is_judged_by_the_spread_of_the_others(tmp_path: Path) -> None:
    a, b = write(tmp_path / "a", 0, range(5)), write(tmp_path / "b", 9, range(5, 6))
    first = differences(read_runs(a), read_runs(b)).iloc[0]
    assert first["p"] < 0.05
    assert (first["count A"], first["count B"]) == (5, 1)


def test_without_any_spread_nothing_is_judged(tmp_path: Path) -> None:
    a, b = write(tmp_path / "a", 0, range(1)), write(tmp_path / "b", 9, range(1, 2))
    assert differences(read_runs(a), read_runs(b))["p"].isna().all()


def test_the_test_is_students(tmp_path: Path) -> None:
    a, b = (read_runs(write(tmp_path / name, 0, seeds)) for name, seeds in SEEDS.items())
    only = [[r for r in records if r.recipe == ROWS[1]] for records in (a, b)]
    expected = stats.ttest_ind(*([r.metrics["linear"] for r in each] for each in only)).pvalue
    assert differences(*only)["p"].item() == pytest.approx(expected)


def test_without_any_spread_only_the_very_same_mean_is_equal() -> None:
    def records(value: float) -> list[Record]:
        return [
            Record.of(BASE, seed, Machine(), now(), metrics={"linear": value}) for seed in (0, 1)
        ]

    assert differences(records(80.0), records(80.0))["p"].item() == 1
    assert differences(records(80.0), records(80.1))["p"].item() == 0


def test_a_folder_without_records_is_named(tmp_path: Path, run_reproductions: Command) -> None:
    assert "holds no record" in run_reproductions("compare", tmp_path, tmp_path, status=2)
