"""Launchers: job files, torchrun on two processes, a worker killed on the way, submitit."""

from __future__ import annotations

import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from eqco import record as records
from eqco.checkpoint import TrainingError, checkpoint_path, hold
from eqco.launch import (
    Log,
    Order,
    SlurmTask,
    by_slurm,
    by_torchrun,
    check_processes,
    torchrun_command,
)
from eqco.recipe import SCALES, Machine, Recipe
from eqco.schedule import Job
from reproductions import session as sessions
from tests.killing import start_and_kill_a_worker

ROOT = Path(__file__).resolve().parents[1]
RECIPE = replace(
    SCALES["smoke"].base, epochs=3, probe_epochs=2, method="moco", queue_size=100,
    num_negatives=16, bn_splits=4, projector="mlp",
)  # fmt: skip


def order_in(folder: Path, recipe: Recipe = RECIPE) -> Order:
    """A small MoCo run with a checkpoint after every step."""
    machine = Machine(threads=1, checkpoints=folder / "checkpoints", checkpoint_seconds=0.0)
    return Order(Job(recipe, 0), machine, folder / "records")


def test_an_order_survives_the_way_through_its_file(tmp_path: Path) -> None:
    order = order_in(tmp_path)
    assert Order.read(order.write()) == order


@pytest.mark.parametrize("text", ["", "{}", "[1]", '{"recipe": 1}'], ids=repr)
def test_what_is_no_job_file_is_refused(text: str, tmp_path: Path) -> None:
    path = tmp_path / "some.json"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ValueError, match=r"some.json is no job file"):
        Order.read(path)


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "checkpoints").write_text("a file", encoding="utf-8")
    with pytest.raises(ValueError, match=r"folder .*checkpoints cannot be written"):
        order_in(tmp_path).write()


@pytest.mark.parametrize(
    ("processes", "message"),
    [
        (0, "processes must be at least 1, got 0"),
        (3, "3 processes cannot share a batch of 64 equally"),
        (128, "128 processes cannot share a batch of 64 equally"),
        (8, "bn_splits is 4, which 8 processes cannot share equally"),
    ],
)
def test_processes_that_cannot_share_a_run_are_refused(processes: int, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        check_processes(RECIPE, processes, Machine())


def test_more_processes_than_gpus_are_refused() -> None:
    processes = 64  # more than any node has
    with pytest.raises(ValueError, match="64 processes on cuda need as many GPUs, this node has"):
        check_processes(replace(RECIPE, bn_splits=64), processes, Machine(device="cuda"))


def test_options_of_torchrun_go_through() -> None:
    command = torchrun_command(Path("x.json"), 8, ["--nnodes=2", "--rdzv-endpoint=host:29500"])
    assert "--nnodes=2" in command
    assert "--standalone" not in command
    assert command[-4:] == ["-m", "eqco", "run", "x.json"]


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory: pytest.TempPathFactory) -> records.Record:
    """The record of two processes that nobody disturbed."""
    return by_torchrun(order_in(tmp_path_factory.mktemp("whole")), 2)


def test_two_processes_write_one_record(uninterrupted: records.Record) -> None:
    assert uninterrupted["machine"]["processes"] == 2
    assert uninterrupted["resumed"] == 0


def test_a_killed_worker_is_resumed_with_the_same_numbers(
    tmp_path: Path, uninterrupted: records.Record, environment: dict[str, str]
) -> None:
    order = order_in(tmp_path)
    start_and_kill_a_worker(order, environment)
    resumed = by_torchrun(order, 2)
    assert resumed["resumed"] == 1
    assert resumed["metrics"] == uninterrupted["metrics"]
    assert resumed["curve"] == uninterrupted["curve"]


def test_a_run_that_fails_says_how_to_go_on(tmp_path: Path) -> None:
    order = order_in(tmp_path)
    path = checkpoint_path(RECIPE, 0, order.machine)
    path.parent.mkdir(parents=True)
    path.write_bytes(b"half a file")
    with pytest.raises(TrainingError, match=r"ended with status 1.*go on with: .*eqco run"):
        by_torchrun(order, 1)


def test_submitit_runs_a_job_and_would_requeue_it(tmp_path: Path) -> None:
    pytest.importorskip("submitit")
    order = order_in(tmp_path, replace(RECIPE, epochs=1))
    job = by_slurm(order, 1, tmp_path / "logs", cluster="local", timeout_min=5)
    assert job.result() == order.job.run_id
    assert records.find(order.folder, order.job.recipe, 0) is not None
    task = SlurmTask(order, 1)
    assert task.checkpoint().function is task


def test_the_command_line_runs_an_order(tmp_path: Path, environment: dict[str, str]) -> None:
    order = order_in(tmp_path, replace(RECIPE, epochs=1))
    done = subprocess.run(
        [sys.executable, "-m", "eqco", "run", str(order.write())],
        cwd=ROOT, env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert order.job.run_id in done.stdout


def test_a_log_says_where_a_run_is_and_how_long_it_takes(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = iter([0.0, 30.0, 60.0, 90.0, 100.0])
    monkeypatch.setattr(time, "monotonic", lambda: next(clock))
    log = Log(256)
    for step in (10, 40, 70, 100):
        log("training", step, 100, 5.0)
    log("probing", 1, 9, 4.0)
    assert capsys.readouterr().out.splitlines() == [
        "training from step 10 of 100",
        "training 70/100  loss 5.000  256 images/s  30 s left",
        "training 100/100  loss 5.000  256 images/s  0 s left",
        "probing from step 1 of 9",
    ]


def test_a_second_job_on_a_run_says_so_and_leaves(
    tmp_path: Path, environment: dict[str, str]
) -> None:
    order = order_in(tmp_path)
    path = order.write()
    with hold(order.job.recipe, 0, order.machine):
        done = subprocess.run(
            [sys.executable, "-m", "eqco", "run", str(path)],
            cwd=ROOT, env=environment, capture_output=True, text=True, check=False,
        )  # fmt: skip
    assert done.returncode == 2
    assert "is being run by another process: wait for it, or stop it" in done.stderr
    assert "Traceback" not in done.stderr
    assert not list(order.folder.glob("*.json"))


def test_a_cluster_gets_each_run_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[Order] = []
    monkeypatch.setattr(sessions, "by_slurm", lambda order, *_, **__: given.append(order))
    order = order_in(tmp_path)
    session = sessions.Session(
        "smoke", "missing", range(2), RECIPE, order.machine, order.folder, "pytest", "slurm", 1
    )
    for seed in (0, 1, 0):
        assert sessions.launched(session, Job(RECIPE, seed)) is None
    assert [each.job.seed for each in given] == [0, 1]


def test_a_job_asks_for_its_gpus_and_for_cores_that_decode(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    submitit = pytest.importorskip("submitit")
    asked: dict[str, object] = {}

    class Executor:
        def __init__(self, **_: object) -> None: ...

        def update_parameters(self, **given: object) -> None:
            asked.update(given)

        def submit(self, task: SlurmTask) -> SlurmTask:
            return task

    monkeypatch.setattr(submitit, "AutoExecutor", Executor)
    order = order_in(tmp_path)
    order = replace(order, machine=replace(order.machine, device="cuda", workers=3))
    task = by_slurm(order, 4, tmp_path / "logs", slurm_partition="gpu", cpus_per_task=20)
    assert (task.order, task.processes) == (order, 4)
    assert asked["slurm_partition"] == "gpu"
    assert (asked["gpus_per_node"], asked["cpus_per_task"]) == (4, 20)
    by_slurm(order, 4, tmp_path / "logs")
    assert asked["cpus_per_task"] == 16


def test_a_cluster_has_gpus_though_this_host_has_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    base = SCALES["imagenet"].base
    assert sessions.device_of("auto", "slurm") == "cuda"
    assert sessions.device_of("auto", "here") == "cpu"
    assert sessions.workers_of("auto", base, 8, "slurm") == 8
    assert sessions.workers_of("auto", RECIPE, 8, "slurm") == 0
    with pytest.raises(pytest.UsageError, match="--device cuda: torch sees no GPU here"):
        sessions.device_of("cuda", "torchrun")


def test_options_of_the_tables_reach_submitit_as_it_wants_them(tmp_path: Path) -> None:
    """Numbers are numbers there; a process of this machine stands in for a cluster."""
    pytest.importorskip("submitit")
    recipe = replace(RECIPE, epochs=1)
    order = order_in(tmp_path, recipe)
    options = ("cluster=local", "timeout_min=5")
    session = sessions.Session(
        "smoke", "missing", range(1), recipe, order.machine, order.folder, "", "slurm", 1, options
    )
    assert sessions.launched(session, order.job) is None
    deadline = time.monotonic() + 120
    while records.find(order.folder, recipe, 0) is None and time.monotonic() < deadline:
        time.sleep(0.2)
    assert records.find(order.folder, recipe, 0) is not None


def test_an_option_that_submitit_does_not_know_is_named(tmp_path: Path) -> None:
    pytest.importorskip("submitit")
    with pytest.raises(ValueError, match=r"submitit does not take these options: .*partitoin"):
        by_slurm(order_in(tmp_path), 1, tmp_path / "logs", cluster="local", partitoin="gpu")
