"""Kill −9 at random moments, and many processes at the same runs: nothing lost, nothing wrong."""

from __future__ import annotations

import random
import subprocess
import time
from dataclasses import replace
from pathlib import Path

import pytest

from eqco.artifacts.checkpoint import earlier, read
from eqco.artifacts.record import Record
from eqco.artifacts.run_files import Run
from eqco.engine.run import run
from reproductions.experiments.grid import jobs
from reproductions.scales import SCALES
from tests.faults.damage import RECIPE, machine_in, sweep_in
from tests.processes import start

pytestmark = pytest.mark.long
LONG = replace(RECIPE, epochs=200)  # 2,000 steps, a checkpoint after each


def test_kills_at_random_moments_change_nothing(tmp_path: Path) -> None:
    whole = run(LONG, 0, machine_in(tmp_path / "whole"), tmp_path / "whole")
    order = Run(LONG, 0, machine_in(tmp_path), tmp_path / "records")
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
