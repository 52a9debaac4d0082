"""Kinds 2 and 5: nothing is skipped or lost in silence, also by kills and among processes."""

from __future__ import annotations

import errno
import fcntl
import os
import random
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from unittest.mock import Mock

import pytest

from eqco.artifacts.checkpoint import earlier, read
from eqco.artifacts.record import Record
from eqco.artifacts.run_files import Busy, Run
from eqco.config import Machine
from eqco.engine.launchers import do_shared
from eqco.engine.run import run, untrained
from eqco.recipe import Recipe
from eqco.runtime.files import check_locks
from eqco.runtime.validation import TrainingError
from reproductions.__main__ import main
from reproductions.experiments import pool
from reproductions.experiments.grid import jobs
from reproductions.harness import runs
from reproductions.scales import SCALES
from reproductions.tables import table
from tests.conftest import Command, Sessions
from tests.faults.damage import RECIPE, machine_in, run_in, sweep_in
from tests.processes import lock_held, python, start, wait_until

NO_LOCKS = [errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.EACCES, errno.EAGAIN, errno.EIO]


@pytest.mark.parametrize("code", NO_LOCKS, ids=errno.errorcode.__getitem__)
def test_a_disk_without_file_locks_is_named_and_is_not_busy(
    code: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fcntl, "flock", Mock(side_effect=OSError(code, os.strerror(code))))
    machine = machine_in(tmp_path)
    machine.checkpoints.mkdir()
    with pytest.raises(ValueError, match=r"has no file locks .* on another disk"):
        check_locks(machine.checkpoints)
    with pytest.raises(ValueError, match="has no file locks"):
        do_shared(Run(RECIPE, 0, machine, tmp_path / "records"))
    if code != errno.ENOSYS:  # newer versions of filelock then use files instead of locks
        with pytest.raises(TrainingError, match="has no file locks") as caught:
            Run(RECIPE, 0, machine).check_free()
        assert type(caught.value) is not Busy
    words = ["sweep", "--scale=smoke", f"--records={tmp_path}"]
    assert main([*words, f"--checkpoints={machine.checkpoints}"]) == 2


@contextmanager
def run_held(recipe: Recipe, folder: Path) -> Iterator[None]:
    """Another process holds a run of the sweep in a folder."""
    machine = Machine(checkpoints=folder / "checkpoints")
    machine.checkpoints.mkdir()
    with lock_held(Run(recipe, 0, machine).lock):
        yield


@pytest.mark.parametrize("error", [TrainingError("diverged"), ValueError("bad image"), OSError()])
def test_a_run_that_fails_sets_the_status_of_a_sweep(
    error: Exception, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, run_reproductions: Command
) -> None:
    monkeypatch.setattr(pool, "run", Mock(side_effect=error))
    words = sweep_in(tmp_path, "--only", "eqco-k16", "--at-once", "1")
    assert "1 of 1 runs have no record: simo-eqco-k16-" in run_reproductions(*words, status=1)


def test_a_run_of_another_process_is_told_and_fails_where_that_is_asked_for(
    tmp_path: Path, run_reproductions: Command
) -> None:
    words = sweep_in(tmp_path, "--only", "eqco-k16", "--at-once", "1")
    with run_held(table(1, "smoke").row("simo-eqco-k16").recipe, tmp_path):
        assert "1 runs are being run by another process" in run_reproductions(*words)
        run_reproductions(*words, "--strict-busy", status=1)


def test_killed_workers_set_the_status_of_a_sweep(tmp_path: Path) -> None:
    child = start("-m", "tests.programs.train_long", *sweep_in(tmp_path, "--at-once", "2"))
    wait_until(lambda: len(list(tmp_path.glob("checkpoints/*.holder"))) == 2)
    listed = subprocess.run(
        ["pgrep", "-P", str(child.pid), "-f", "spawn_main"], capture_output=True, text=True
    ).stdout.split()
    assert len(listed) == 2
    for pid in listed:
        os.kill(int(pid), signal.SIGKILL)
    output = child.communicate(timeout=60)[0]
    assert child.returncode == 1
    assert output.count("a worker ended with status -9") == 2
    assert "runs have no record" in output


def test_pytest_xdist_shows_the_closing_table_and_waits_for_its_own_runs(tmp_path: Path) -> None:
    words = ["reproductions", "--scale=smoke", "-k", "table1-simo and k16", "-n", "2"]
    words += [f"--records={tmp_path / 'r'}", f"--checkpoints={tmp_path / 'c'}", "--threads=1"]
    text = python("-m", "pytest", *words, "-p", "no:cacheprovider").stdout
    assert "Table 1 (simo) at scale smoke" in text
    assert "table 1: 2 of" in text
    assert "being run by another process" not in text
    assert len(list((tmp_path / "r").glob("*/*.json"))) == 3
    assert text.count("passed") >= 3


def test_a_cell_that_another_process_holds_is_told_and_fails_where_that_is_asked_for(
    tmp_path: Path, sessions: Sessions
) -> None:
    row = table(1, "smoke").row("simo-eqco-k16")
    cell = f"test_cell and table1-{row.name}"
    words = ["reproductions", "--scale=smoke", "-k", cell, "--threads=1"]
    with run_held(row.recipe, tmp_path):
        usual, strict = sessions([words, [*words, "--strict-busy"]], tmp_path)
    assert (usual[0], strict[0]) == (0, 1)
    assert "1 skipped" in usual[1]
    for _, text in (usual, strict):
        assert f"1 run is being run by another process and not counted here: {row.name}-" in text
        assert "Traceback" not in text


def test_a_cluster_does_the_untrained_runs_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """The host that submits may have no GPU."""
    asked: list[str] = []
    monkeypatch.setattr(runs, "launched", lambda session, job: asked.append(job.run_id))

    bar = SimpleNamespace(uncaptured=nullcontext, train=lambda *_: asked.append("here"))
    base = untrained(SCALES["smoke"].base)
    for launcher in ("slurm", "torchrun"):
        runs.train_or_launch(SimpleNamespace(launcher=launcher), bar, Run(base, 0))  # type: ignore[arg-type]
    assert asked == [base.run_id(0), "here"]


# Kill −9 at random moments, and many processes at the same runs: nothing lost, nothing wrong.


LONG = replace(RECIPE, epochs=200)  # 2,000 steps, a checkpoint after each


@pytest.mark.long
def test_kills_at_random_moments_change_nothing(tmp_path: Path) -> None:
    whole = run(LONG, 0, machine_in(tmp_path / "whole"), tmp_path / "whole")
    order = run_in(tmp_path, LONG)
    job = order.write_job()
    path, reached, moment = order.checkpoint, 0, random.Random(0)
    for _ in range(100):
        child = start("-m", "eqco", "run", job, stdout=subprocess.DEVNULL)
        time.sleep(moment.uniform(0.1, 6.0))
        child.kill()
        child.wait()
        usable = [each for each in (path, earlier(path)) if each.exists()]
        step = read(usable[0], "step")["step"] if usable else 0
        assert step >= reached - 1  # between two renames the one before the last is there
        reached = step
    assert reached > 0
    done = run(LONG, 0, order.machine, order.folder)
    assert (done.metrics, done.curve) == (whole.metrics, whole.curve)
    left = {each.name for each in path.parent.iterdir()}
    own = {path.name, earlier(path).name, f"{path.stem}.lock", f"{path.stem}.job.json"}
    assert left <= own, "files of killed processes are left"


@pytest.mark.long
def test_eight_processes_at_the_same_runs_do_each_once(tmp_path: Path) -> None:
    words = sweep_in(tmp_path, "--at-once", "1")
    team = [start("-m", "reproductions", *words) for _ in range(8)]
    outputs = [each.communicate(timeout=1200)[0] for each in team]
    assert [each.returncode for each in team] == [0] * 8, outputs
    wanted = jobs(SCALES["smoke"], SCALES["smoke"].base, range(1), ["tables"], [1])
    lines = [line for text in outputs for line in text.splitlines()]
    done = [line.split()[1] for line in lines if line.startswith("done ")]
    assert sorted(done) == sorted(job.run_id for job in wanted)
    machine = machine_in(tmp_path / "alone")
    for job in wanted[:2]:
        alone = run(job.recipe, 0, machine, tmp_path / "alone")
        found = Record.find(tmp_path / "records" / "smoke", job.recipe, 0)
        assert (found.metrics, found.curve) == (alone.metrics, alone.curve)
