"""Runs: the sweep in its parts, planned experiments, and the workers that do them."""

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
from reproductions.experiments.planned import (
    CHOSEN_RATES,
    CIFAR10_ROWS,
    EXPERIMENTS,
    SEED_OF_CHOICES,
    Experiment,
    common_scale,
    experiment_jobs,
)
from reproductions.reports import log_pages, readme
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
    pool.work_in_parallel([Run(BASE, seed, Machine(), tmp_path) for seed in range(4)], 1, lines)
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


# Planned experiments: rows that exist, and comparisons whose weights are contrasts of them.


LOG = Path(__file__).parents[3] / "log"


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_an_experiment_has_its_log_and_compares_its_own_rows(name: str) -> None:
    made = EXPERIMENTS[name]
    assert list(LOG.glob(f"*-{name}.md"))
    base = SCALES[made.scale].base
    rows = made.rows(replace(base, data="folder:0") if base.data == "folder" else base)
    assert len(set(rows.values())) == len(rows)
    for comparison in made.comparisons:
        assert sum(comparison.weights.values()) == pytest.approx(0)
        waiting = CIFAR10_ROWS.keys() - CHOSEN_RATES if name == "cifar10-confirmation" else set()
        assert comparison.weights.keys() <= rows.keys() | waiting
        mean, low, high = comparison.predicted
        assert low < mean < high
    assert bool(made.comparisons) != (min(made.seeds) >= SEED_OF_CHOICES)


def test_runs_come_seed_by_seed_each_once() -> None:
    base = SCALES["glyphs"].base
    jobs = experiment_jobs(["constant-weight", "constant-weight"], base)
    assert len({job.run_id for job in jobs}) == len(jobs) == 90
    assert [job.seed for job in jobs] == sorted(job.seed for job in jobs)


def test_a_row_may_have_fewer_seeds() -> None:
    base = SCALES["glyphs"].base
    made = Experiment(
        "glyphs",
        lambda base: {"a": base, "b": replace(base, num_negatives=16)},
        range(3),
        seeds_of={"b": range(1)},
    )
    assert [(job.recipe.num_negatives, job.seed) for job in made.jobs(base)] == [
        (255, 0), (16, 0), (255, 1), (255, 2),
    ]  # fmt: skip


def test_a_page_says_nothing_of_accuracies_before_the_last_run(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    values = {row: {seed: 50.0 + seed for seed in range(4)} for row in ("EqCo 16", "EqCo 255")}
    values["InfoNCE 16"] = {seed: 40.0 for seed in range(5)}
    monkeypatch.setattr(log_pages, "planned_values", lambda made, metric: values)
    page = log_pages.section("paper-settings")
    assert "| EqCo 16 | 4 of 5 runs | 4 of 5 runs |" in page
    assert "| InfoNCE 16 | 40.0 ± 0.0 (5) |" in page
    assert page.count("| 4 of 5 runs | **open** | – |") == 2
    for row in ("EqCo 16", "EqCo 255"):
        values[row][4] = 54.0
    page = log_pages.section("paper-settings")
    assert "| EqCo 16 | 52.0 ± 1.6 (5) |" in page
    assert "| +6.00 [+5.02, +6.98] n=5 | **holds** | missed |" in page


def test_the_front_page_has_the_confirmation_when_its_last_run_is_there(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    values = {
        "InfoNCE 255": {seed: 64.0 + 0.1 * seed for seed in range(8)},
        "InfoNCE 16": {seed: 61.0 + 0.1 * seed for seed in range(8)},
        "EqCo 16": {seed: 63.5 + 0.12 * seed for seed in range(7)},
        "InfoNCE 4": {},
        "EqCo 4": {},
    }
    for page in (log_pages, readme):
        monkeypatch.setattr(page, "planned_values", lambda experiment, metric: values)
    assert readme.photographs_sentence() == ""
    values["EqCo 16"][7] = 64.3
    sentence = readme.photographs_sentence()
    assert "InfoNCE with 16 negatives is 3.0 points below InfoNCE with all" in sentence
    assert "and EqCo with 16 is 0.4 points below it" in sentence
    assert "8 seeds: EqCo lies above the middle of these two rows, **holds**" in sentence


def test_experiments_of_two_scales_are_refused() -> None:
    with pytest.raises(ValueError, match="one scale at a time, got some of cifar10-cpu, glyphs"):
        common_scale(["constant-weight", "cifar10-rates"])
