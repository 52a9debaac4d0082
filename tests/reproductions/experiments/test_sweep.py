"""The sweep in its parts, and the workers that do its runs."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from eqco.artifacts.record import Record
from eqco.artifacts.run_files import Busy, Run
from eqco.config import Machine
from eqco.engine.run import untrained
from eqco.recipe import Recipe
from eqco.runtime.validation import TrainingError
from reproductions.experiments import grid as wanted
from reproductions.experiments import pool
from reproductions.results.records import RECORDS
from reproductions.scales import SCALES
from reproductions.tables import TABLES, table
from tests.conftest import Command
from tests.faults.damage import sweep_in
from tests.reproductions.conftest import Commit
from tests.synthetic import make_record

GLYPHS = SCALES["glyphs"]
BASE = GLYPHS.base
METHOD_RATES = {"simo": wanted.RATES, "moco": wanted.METHOD_RATES, "simclr": wanted.METHOD_RATES}


def names_of(runs: list[Run]) -> list[str]:
    return [run.run_id for run in runs]


def jobs(seeds: range = range(1), **choice: Sequence[Any]) -> list[Run]:
    """Runs of the sweep at scale glyphs."""
    return wanted.jobs(GLYPHS, BASE, seeds, **choice)


def test_the_grid_has_table_1_and_both_ends_of_the_other_methods_at_every_rate() -> None:
    recipes = wanted.grid(GLYPHS, BASE)
    expected = {row.recipe for row in table(1, "glyphs").rows}
    for method, rates in METHOD_RATES.items():
        mine = [recipe for recipe in recipes if recipe.method == method]
        assert GLYPHS.baseline(method).learning_rate in rates
        assert {recipe.learning_rate for recipe in mine} == set(rates)
        cells = {(recipe.loss, recipe.num_negatives) for recipe in mine}
        if method == "simo":
            assert {replace(each, learning_rate=BASE.learning_rate) for each in mine} == expected
        else:
            full = GLYPHS.baseline(method)
            most = full.num_negatives
            both = {(loss, k) for loss in ("infonce", "eqco") for k in (16, most)}
            assert cells == both - {("eqco", full.pool())}  # alpha = K is InfoNCE
        assert len(mine) == len(cells) * len(rates)
        assert {each.alpha for each in mine} == {None, float(GLYPHS.baseline(method).pool())}


def test_the_sweep_is_its_parts_in_order_without_a_run_twice() -> None:
    seeds = range(2)
    names = names_of(jobs(seeds))
    assert len(names) == len(set(names))
    parts = [names_of(jobs(seeds, parts=[part])) for part in wanted.PARTS]
    assert names == list(dict.fromkeys(name for part in parts for name in part))
    assert names_of(jobs(seeds, parts=["grid", "baselines"]))[0] == parts[2][0]


def test_the_part_tables_has_every_row_of_its_tables_and_the_untrained_backbone() -> None:
    for tables in ([1], [7, 3], list(TABLES)):
        found = jobs(range(3, 5), parts=["tables"], tables=tables)
        recipes = {row.recipe for number in tables for row in table(number, "glyphs").rows}
        expected = {(recipe, seed) for recipe in {*recipes, untrained(BASE)} for seed in (3, 4)}
        assert {(job.recipe, job.seed) for job in found} == expected
        assert [job.seed for job in found] == sorted(job.seed for job in found)


def test_baselines_and_grid_have_their_own_seeds_alone() -> None:
    for part, own in wanted.LIMITED.items():
        for seeds in (range(2), range(10), range(4, 12), range(10, 15)):
            found = {job.seed for job in jobs(seeds, parts=[part])}
            assert found == set(seeds) & set(own)
    assert {job.seed for job in jobs(range(10), parts=["tables"], tables=[1])} == set(range(10))


def test_every_run_has_the_data_of_the_base() -> None:
    base = replace(SCALES["cifar10-quick"].base, data="folder:mine-12345678")
    found = wanted.jobs(SCALES["cifar10-quick"], base, range(1))
    assert {job.recipe.data for job in found} == {base.data}


def jobs_in(folder: Path) -> list[Run]:
    """Four runs whose records go into a folder."""
    return [Run(BASE, seed, Machine(), folder) for seed in range(4)]


def test_missing_runs_are_those_without_a_record(tmp_path: Path) -> None:
    make_record(BASE, 1, 80.0).write(tmp_path)
    assert [job.seed for job in pool.missing(jobs_in(tmp_path))] == [0, 2, 3]


def test_work_skips_done_and_held_runs_and_reports_failed_ones(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    asked: list[int] = []

    def run(recipe: Recipe, seed: int, *_: object, **__: object) -> Record:
        asked.append(seed)
        if seed == 1:
            raise Busy("held")
        if seed == 2:
            raise TrainingError("diverged")
        return make_record(recipe, seed, 80.0)

    monkeypatch.setattr(pool, "run", run)
    make_record(BASE, 0, 80.0).write(tmp_path)
    lines = pool.Lines(4)
    pool.work_in_parallel(jobs_in(tmp_path), 1, lines)
    assert asked == [1, 2, 3]
    assert lines.failed == {BASE.run_id(2): "diverged"}
    assert capsys.readouterr().out.splitlines() == [
        f"failed  {BASE.run_id(2)}  diverged",
        f"done  {BASE.run_id(3)}  linear 80.00 %  46 s",
    ]


def test_one_line_of_a_terminal_tells_of_all_runs(capsys: pytest.CaptureFixture[str]) -> None:
    line = pool.OneLine(8)
    for state, name, share in ((pool.STEP, "a", 0.5), (pool.STEP, "b", 0.25), (pool.DONE, "a", 0)):
        line(pool.Message(state, name, "linear 80.00 %", share))
    shown = re.sub(r"\x1b\[K", "", capsys.readouterr().out).split("\r")
    assert shown[1].startswith("0 of 8 runs done, 1 running (50 %)")
    assert shown[2].startswith("0 of 8 runs done, 2 running (50 %, 25 %)")
    assert shown[3:] == ["done  a  linear 80.00 %\n", shown[4]]
    assert shown[4].startswith("1 of 8 runs done, 1 running (25 %)")


@pytest.fixture
def done(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the runs that a command does; their records are made, nothing is trained."""
    names: list[str] = []

    def run(
        recipe: Recipe, seed: int, machine: Machine, folder: Path, *_: object, again: bool
    ) -> Record:
        assert not again
        assert (machine.device, machine.threads) == ("cpu", 1)
        assert folder == tmp_path / "glyphs"
        names.append(recipe.run_id(seed))
        record = make_record(recipe, seed, 80.0)
        record.write(folder)
        return record

    monkeypatch.setattr(pool, "run", run)
    return names


@pytest.fixture
def sweep(run_reproductions: Command) -> Command:
    """`python -m reproductions sweep` in a folder, one run at a time."""

    def run(folder: Path, *words: str, status: int = 0) -> str:
        places = [f"--{name}={folder}" for name in ("records", "checkpoints")]
        options = ["--device=cpu", "--at-once=1", *places, *words]
        return run_reproductions("sweep", *options, status=status)

    return run


def test_the_command_does_what_is_missing_of_the_runs_it_was_given(
    tmp_path: Path, done: list[str], sweep: Command
) -> None:
    expected = [name for name in names_of(jobs()) if "moco-eqco" in name]
    for missing in (len(expected), 0):
        text = sweep(tmp_path, "--seeds=1", "--only=moco-eqco")
        assert f"{missing} of {len(expected)} runs are missing" in text
        assert done == expected != []


def test_the_command_takes_parts_tables_and_seeds(
    tmp_path: Path, done: list[str], sweep: Command
) -> None:
    sweep(tmp_path, "--parts", "tables", "--tables", "1", "3", "--first-seed=10", "--seeds=2")
    assert done == names_of(jobs(range(10, 12), parts=["tables"], tables=[1, 3]))


def test_the_command_leaves_out_what_is_committed_and_never_writes_beside_it(
    tmp_path: Path, done: list[str], commit: Commit, sweep: Command
) -> None:
    words = ["--parts=tables", "--tables=1", "--seeds=1"]
    wanted = jobs(range(1), parts=["tables"], tables=[1])
    commit([make_record(job.recipe, job.seed, 80.0) for job in wanted[2:]])
    sweep(tmp_path, *words, "--skip-committed")
    assert done == names_of(wanted[:2])
    error = sweep(RECORDS, *words, status=2)
    assert "sweep into another folder, with --skip-committed" in error


def test_a_wrong_table_leaves_no_folder_behind(
    tmp_path: Path, done: list[str], sweep: Command
) -> None:
    sweep(tmp_path / "records", "--tables", "99", status=2)
    assert list(tmp_path.iterdir()) == done == []


def test_only_that_matches_no_run_is_an_error(tmp_path: Path, run_reproductions: Command) -> None:
    error = run_reproductions(*sweep_in(tmp_path, "--only", "nothing"), status=2)
    assert "--only 'nothing' is in no name of" in error
