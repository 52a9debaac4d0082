"""Launchers: job files, torchrun, jobs of a cluster; image files and two processes.

Real jobs of submitit are in tests/faults.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest
import torch

from eqco.artifacts.record import Record
from eqco.artifacts.run_files import Run
from eqco.config import Machine
from eqco.data.image_folder import identity, scan
from eqco.data.streaming import FromFiles
from eqco.engine import launchers
from eqco.engine.launchers import (
    SlurmTask,
    by_slurm,
    by_torchrun,
    check_processes,
    do_shared,
    torchrun_command,
)
from eqco.engine.pretrain import Pretraining
from eqco.recipe import Recipe
from eqco.runtime.validation import TrainingError
from reproductions.scales import SCALES
from tests.conftest import Command
from tests.faults.damage import run_in
from tests.processes import start, torchrun, wait_until
from tests.trees import files_recipe

RECIPE = replace(
    SCALES["smoke"].base, data_part=0.034, epochs=3, probe_epochs=2, method="moco",
    queue_size=100, num_negatives=16, bn_splits=4, projector="mlp",
)  # 10 steps an epoch  # fmt: skip


NO_TABLE: list[Any] = [None, [], 3, "x", {"a": 1}]
INVALID: dict[tuple[str, str], list[Any]] = {  # tests/test_recipe.py has the values of all fields
    ("recipe", "epochs"): ["3", None, 10**400],
    ("machine", "threads"): [0, True, 1.5],
    ("", "recipe"): NO_TABLE,
    ("", "machine"): NO_TABLE,
    ("", "seed"): [-1, 0.9, 1.0, "1", True, None, [], 10**400],
    ("", "folder"): [None, [], 3, "", "  "],
}


@pytest.fixture(scope="module")
def job_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A job file that is right."""
    return run_in(tmp_path_factory.mktemp("order"), RECIPE).write_job()


@pytest.mark.parametrize(("part", "field"), INVALID)
def test_a_job_file_with_an_invalid_value_is_one_sentence_that_names_the_file(
    part: str, field: str, job_file: Path, tmp_path: Path
) -> None:
    message = r"^.*changed.json is no job file \(.+\): write it anew$"
    path = tmp_path / "changed.json"
    for value in INVALID[part, field]:
        body = json.loads(job_file.read_text(encoding="utf-8"))
        (body[part] if part else body)[field] = value
        path.write_text(json.dumps(body), encoding="utf-8")
        with pytest.raises(ValueError, match=message) as caught:
            Run.read_job(path)
        text = str(caught.value)
        assert "\n" not in text
        assert field in text.lower(), f"{value!r}: {text}"


@pytest.mark.parametrize("field", ["recipe", "seed", "machine", "folder"])
def test_a_job_file_without_a_field_names_it(field: str, job_file: Path, tmp_path: Path) -> None:
    body = json.loads(job_file.read_text(encoding="utf-8"))
    del body[field]
    path = tmp_path / "changed.json"
    path.write_text(json.dumps(body), encoding="utf-8")
    with pytest.raises(ValueError, match=rf"no job file \(it lacks the field {field}\)"):
        Run.read_job(path)


@pytest.mark.parametrize(
    ("processes", "message"),
    [
        (0, "processes must be at least 1, got 0"),
        (3, "3 processes cannot share a batch of 64 equally"),
        (128, "128 processes cannot share a batch of 64 equally"),
        (8, "bn_splits is 4, which 8 processes cannot share equally"),
    ],
)
def test_processes_that_cannot_share_a_run_raise_an_error(processes: int, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        check_processes(Run(RECIPE, 0), processes)


def test_a_cluster_is_not_sent_what_cannot_be_shared(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="3 processes cannot share a batch of 64"):
        by_slurm(Run(RECIPE, 0), 3, tmp_path)
    assert not list(tmp_path.iterdir())


def test_more_processes_than_gpus_raise_an_error() -> None:
    processes = 64  # more than any node has
    with pytest.raises(ValueError, match="64 processes on cuda need as many GPUs, this node has"):
        check_processes(Run(replace(RECIPE, bn_splits=64), 0, Machine(device="cuda")), processes)


def test_options_of_torchrun_are_passed_on() -> None:
    command = torchrun_command(Path("x.json"), 8, ["--nnodes=2", "--rdzv-endpoint=host:29500"])
    assert "--nnodes=2" in command
    assert "--standalone" not in command
    assert command[-4:] == ["-m", "eqco", "run", "x.json"]


def test_a_run_that_fails_says_how_to_continue(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(launchers, "wait_for", lambda command: 1)
    with pytest.raises(TrainingError, match=r"ended with status 1.*continue with: .*eqco run"):
        by_torchrun(run_in(tmp_path, RECIPE), 1)


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        ("Timed out waiting 600000ms for recv", "cannot continue, another process has ended, or"),
        ("something else", "^something else$"),
    ],
)
def test_a_run_whose_other_process_is_lost_says_so(
    error: str, sentence: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(launchers, "run", Mock(side_effect=RuntimeError(error)))
    with pytest.raises(RuntimeError, match=sentence):
        launchers.do_shared(run_in(tmp_path, RECIPE))


def test_a_second_job_on_a_run_ends_with_one_sentence(tmp_path: Path, run_eqco: Command) -> None:
    order = run_in(tmp_path, RECIPE)
    path = order.write_job()
    with order.hold():
        text = run_eqco("run", path, status=2)
    assert "is being run by another process: wait for it, or stop it" in text
    assert text.count("\n") == 1
    assert not list(order.folder.glob("*.json"))


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
    order = run_in(tmp_path, RECIPE)
    order = order._replace(machine=replace(order.machine, device="cuda", workers=3))
    task = by_slurm(order, 4, tmp_path / "logs", slurm_partition="gpu", cpus_per_task=20)
    assert (task.run, task.processes) == (order.absolute(), 4)
    assert task.checkpoint().function is task  # it would be put into the queue again
    assert asked["slurm_partition"] == "gpu"
    assert (asked["gpus_per_node"], asked["cpus_per_task"]) == (4, 20)
    by_slurm(order, 4, tmp_path / "logs")
    assert asked["cpus_per_task"] == 16


def test_an_option_that_submitit_does_not_know_is_named(tmp_path: Path) -> None:
    pytest.importorskip("submitit")
    with pytest.raises(ValueError, match=r"submitit does not take these options: .*partitoin"):
        by_slurm(run_in(tmp_path, RECIPE), 1, tmp_path / "logs", cluster="local", partitoin="gpu")


# Pretraining and probe on image files by two processes; a killed one changes no number. What nobody
# disturbs reads its images in workers, the others by themselves.


SAMPLE = os.environ.get("EQCO_IMAGENET_SAMPLE", "")


def recipes(root: Path) -> dict[str, Recipe]:
    """MoCo, whose queue is a state too, as the scale has it; an untrained encoder in float32."""
    untrained = replace(files_recipe(root), precision="float32", epochs=0)
    return {"moco": files_recipe(root, "moco"), "untrained": untrained}


@pytest.fixture(scope="module")
def uninterrupted(
    sixteen_images: Path, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Record]:
    """Records of two processes that nobody disturbed, of each recipe; one launch for all."""
    folder = tmp_path_factory.mktemp("uninterrupted")
    orders = {
        name: run_in(folder, recipe, data_dir=sixteen_images, workers=1)
        for name, recipe in recipes(sixteen_images).items()
    }
    torchrun("tests.programs.run_orders", *(order.write_job() for order in orders.values()))
    records = {name: order.record() for name, order in orders.items()}
    for record in records.values():
        assert (record.machine["processes"], record.resumed) == (2, 0)
    return records


def test_a_killed_worker_of_two_is_resumed_with_the_same_numbers(
    tmp_path: Path, sixteen_images: Path, uninterrupted: dict[str, Record]
) -> None:
    order = run_in(tmp_path, recipes(sixteen_images)["moco"], data_dir=sixteen_images)
    whole = uninterrupted["moco"]
    assert whole.steps == 2
    command = torchrun_command(order.write_job(), 2)
    launched = start(*command[1:], stdout=subprocess.DEVNULL)
    wait_until(order.checkpoint.exists)
    workers = Path(f"/proc/{launched.pid}/task/{launched.pid}/children").read_text().split()
    os.kill(int(workers[-1]), signal.SIGKILL)
    assert launched.wait(timeout=120) != 0
    assert order.record() is None, "the run ended before a worker was killed"
    resumed = by_torchrun(order, 2)
    assert resumed.resumed == 1
    for part in ("metrics", "curve", "diagnostics"):
        assert getattr(resumed, part) == getattr(whole, part)


def test_two_processes_measure_what_one_measures(
    tmp_path: Path, sixteen_images: Path, uninterrupted: dict[str, Record]
) -> None:
    """Metrics are counts of few images, so they agree unless something else is computed."""
    recipe = recipes(sixteen_images)["untrained"]
    one = do_shared(run_in(tmp_path, recipe, data_dir=sixteen_images))
    assert one.machine["processes"] == 1
    assert one.metrics == uninterrupted["untrained"].metrics


def test_compiled_encoders_train_to_about_the_same_loss(sixteen_images: Path) -> None:
    """aot_eager traces as torch.compile does and needs no C++ compiler."""
    recipe = replace(files_recipe(sixteen_images), precision="float32")
    images, machine = scan(sixteen_images), Machine(threads=1, data_dir=sixteen_images)
    torch._dynamo.reset()
    losses = []
    for compiled in (False, True):
        with torch._dynamo.config.patch(suppress_errors=False):
            work = Pretraining(Run(recipe, 0, machine), FromFiles(images, recipe, 0, machine))
            if compiled:
                work.method.encoder.compile(backend="aot_eager")
            losses.append(work.advance())
    assert losses[0] == pytest.approx(losses[1], rel=1e-4)


@pytest.mark.skipif(not SAMPLE, reason="EQCO_IMAGENET_SAMPLE names no tree of ImageNet JPEGs")
def test_real_jpegs_give_a_finite_step_at_full_size() -> None:
    root = Path(SAMPLE)
    base, data = SCALES["imagenet"].base, f"part:{identity(root)}"
    recipe = replace(base, data=data, batch_size=8, num_negatives=7, epochs=1)
    machine = Machine(threads=2, data_dir=root, workers=2)
    work = Pretraining(Run(recipe, 0, machine), FromFiles(scan(root), recipe, 0, machine))
    assert 0 < work.advance() < 20
