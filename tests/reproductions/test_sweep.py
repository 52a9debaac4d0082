"""The sweep of learning rates, and the workers that do its runs."""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

import pytest

from eqco.checks import TrainingError
from eqco.recipe import Recipe
from eqco.runs.checkpoint import Busy
from eqco.runs.record import Record, now
from eqco.runs.run import Job, untrained
from eqco.settings import Machine
from reproductions import sweep
from reproductions.scales import SCALES
from reproductions.tables import TABLES, table

BASE = SCALES["glyphs"].base
JOBS = [Job(BASE, seed) for seed in range(4)]


def make_record(recipe: Recipe, seed: int) -> Record:
    """A record with the fields that a line of the sweep shows."""
    metrics, seconds = {"linear": 80.0 + seed}, {"train": 35.0, "probe": 5.0, "wall": 40.0}
    return Record.of(recipe, seed, Machine(), now(), metrics=metrics, seconds=seconds)


def test_learning_rates_cover_two_decades() -> None:
    assert len(sweep.RATES) >= 6
    assert max(sweep.RATES) / min(sweep.RATES) >= 99
    assert BASE.learning_rate in sweep.RATES


def test_the_sweep_has_every_cell_of_table_1_at_every_rate_and_all_tables() -> None:
    table_seeds = 5
    grid = {
        replace(row.recipe, learning_rate=rate).run_id(seed)
        for row in table(1, "glyphs").rows
        for rate in sweep.RATES
        for seed in sweep.SEEDS
    }
    methods = {
        replace(SCALES["glyphs"].baseline(method), learning_rate=rate).run_id(0)
        for method in ("moco", "simclr")
        for rate in sweep.METHOD_RATES
    }
    recipes = {row.recipe for number in TABLES for row in table(number, "glyphs").rows}
    tables = {
        recipe.run_id(seed) for recipe in {*recipes, untrained(BASE)} for seed in range(table_seeds)
    }
    names = [job.run_id for job in sweep.jobs(table_seeds)]
    assert len(names) == len(set(names))
    assert set(names) == grid | methods | tables


def test_baselines_run_first() -> None:
    first = sweep.jobs(1)[: len(sweep.RATES) * len(sweep.SEEDS)]
    assert {job.recipe for job in first} == set(sweep.baselines())


def test_missing_runs_are_those_without_a_record(tmp_path: Path) -> None:
    make_record(BASE, 1).write(tmp_path)
    assert [job.seed for job in sweep.missing(JOBS, tmp_path)] == [0, 2, 3]


def test_work_skips_done_and_held_runs_and_reports_failed_ones(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[int] = []

    def run(recipe: Recipe, seed: int, *_: object) -> Record:
        asked.append(seed)
        if seed == 1:
            raise Busy("held")
        if seed == 2:
            raise TrainingError("diverged")
        return make_record(recipe, seed)

    monkeypatch.setattr(sweep, "run", run)
    make_record(BASE, 0).write(tmp_path)
    lines = list(sweep.work(JOBS, Machine(), tmp_path))
    assert asked == [1, 2, 3]
    assert lines == ["failed  diverged", f"done  {BASE.run_id(3)}  linear 83.00 %  40 s"]


def test_the_command_runs_what_is_missing_of_the_runs_it_was_given(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    done: list[str] = []

    def run(recipe: Recipe, seed: int, machine: Machine, folder: Path) -> Record:
        assert (machine.threads, folder) == (1, tmp_path / "glyphs")
        done.append(recipe.run_id(seed))
        return make_record(recipe, seed)

    monkeypatch.setattr(sweep, "run", run)
    given = argparse.Namespace(
        records=tmp_path, checkpoints=tmp_path, seeds=1, at_once=1, only="moco-eqco"
    )
    assert sweep.main(given) == 0
    expected = [job.run_id for job in sweep.jobs(1) if "moco-eqco" in job.run_id]
    assert done == expected
    assert f"{len(expected)} of {len(expected)} runs are missing" in capsys.readouterr().out
