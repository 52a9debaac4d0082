"""Kind 6: no work is lost, and none is done twice."""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import Mock

import pytest

from eqco.artifacts.run_files import Run
from eqco.config import Machine
from eqco.data import find_source, in_memory, open_images
from eqco.data.image_folder import identity, scan
from eqco.engine import slurm
from eqco.engine.launchers import do_shared
from eqco.engine.slurm import NOTE, outside_of_a_job, queue_state, remember
from eqco.runtime.files import check_writable
from eqco.runtime.validation import TrainingError
from reproductions.harness import launching
from reproductions.harness.launching import launched
from tests.conftest import Command
from tests.faults.damage import RECIPE
from tests.reproductions.conftest import session_of
from tests.trees import files_recipe, write_tree

REFUSED = PermissionError(errno.EPERM, os.strerror(errno.EPERM))


@pytest.mark.parametrize("name", ["replace", "fsync"])
def test_what_a_disk_refuses_later_is_refused_before_the_run(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, name, Mock(side_effect=REFUSED))
    with pytest.raises(ValueError, match=r"cannot be written .*not permitted"):
        check_writable(tmp_path)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["chmod", "fchmod", "chown", "link"])
def test_a_disk_without_modes_or_links_keeps_records(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As CIFS and some NFS refuse them."""
    monkeypatch.setattr(os, name, Mock(side_effect=REFUSED))
    recipe = replace(RECIPE, epochs=1)
    order = Run(recipe, 0, Machine(threads=1, checkpoints=tmp_path / "c"), tmp_path / "r")
    assert do_shared(order) is not None
    assert len(list((tmp_path / "r").glob("*.json"))) == 1


def test_a_job_file_means_the_same_from_every_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "here").mkdir()
    (tmp_path / "there").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    path = Run(RECIPE, 0, Machine(), Path("runs/records")).write_job()
    expected = Run.read_job(path)
    monkeypatch.chdir(tmp_path / "there")
    assert Run.read_job(path) == expected
    assert expected.machine.checkpoints == tmp_path / "here" / "runs" / "checkpoints"
    assert expected.machine.data_dir == tmp_path / "here" / "data"
    assert expected.folder == tmp_path / "here" / "runs" / "records"


@pytest.mark.parametrize(
    ("state", "submitted"), [("PENDING", 1), ("RUNNING", 1), ("", 2)], ids=repr
)
def test_the_same_command_submits_a_waiting_job_once(
    state: str, submitted: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    jobs: list[Run] = []

    def by_slurm(order: Run, *_: object, **__: object) -> None:
        jobs.append(order)
        remember(order, SimpleNamespace(job_id=12), "slurm")

    def squeue(words: list[str], **_: object) -> Any:
        assert words[0] == "squeue"
        assert words[-1] == "12"
        return SimpleNamespace(returncode=0, stdout=f"{state}\n", stderr="")

    monkeypatch.setattr(launching, "by_slurm", by_slurm)
    monkeypatch.setattr(slurm.subprocess, "run", squeue)
    run = Run(RECIPE, 0, Machine(checkpoints=tmp_path / "c"), tmp_path / "r")
    for _ in range(2):
        assert launched(session_of(run, launcher="slurm"), run) is None
    assert len(jobs) == submitted


def test_a_job_whose_state_is_unknown_is_not_submitted_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = Run(RECIPE, 0, Machine(checkpoints=tmp_path))
    remember(run, SimpleNamespace(job_id=12), "slurm")
    missing = Mock(side_effect=FileNotFoundError("no squeue"))
    monkeypatch.setattr(slurm.subprocess, "run", missing)
    with pytest.raises(TrainingError, match=r"job 12, and squeue does not report .*no squeue"):
        queue_state(run)
    gone = subprocess.CompletedProcess([], 1, "", "slurm_load_jobs error: Invalid job id specified")
    monkeypatch.setattr(slurm.subprocess, "run", lambda *_, **__: gone)
    assert queue_state(run) == ""
    assert queue_state(run._replace(seed=1)) == ""
    run.beside(NOTE).write_text("half a fi")
    assert queue_state(run) == ""


def test_a_job_gets_no_variables_of_the_job_that_submits_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in ("SLURM_JOB_ID", "SLURM_NTASKS", "SLURM_CONF", "SBATCH_ACCOUNT"):
        monkeypatch.setenv(name, "1")
    with outside_of_a_job():
        assert not {"SLURM_JOB_ID", "SLURM_NTASKS"} & set(os.environ)
        assert {"SLURM_CONF", "SBATCH_ACCOUNT"} <= set(os.environ)
    assert os.environ["SLURM_NTASKS"] == "1"


def test_cifar10_is_downloaded_once_and_under_a_lock(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import numpy as np
    from torchvision import datasets

    asked: list[tuple[bool, bool, bool]] = []
    there = tmp_path / "there"

    class CIFAR10:
        def __init__(self, root: str, train: bool, download: bool = False) -> None:
            locked = (tmp_path / ".lock").exists()
            asked.append((train, download, locked))
            if download:
                there.touch()
            elif not there.exists():
                raise RuntimeError("Dataset not found or corrupted.")
            self.data, self.targets = np.zeros((2, 32, 32, 3), dtype=np.uint8), [0, 1]

    monkeypatch.setattr(datasets, "CIFAR10", CIFAR10)
    in_memory.cifar10_set(tmp_path)
    assert asked == [(True, False, False), (True, True, True), (False, False, True)]


def test_data_is_its_content_not_its_place(tmp_path: Path) -> None:
    one = write_tree(tmp_path / "one")
    moved = shutil.copytree(one, tmp_path / "elsewhere" / "another name")
    assert identity(one) == identity(moved)
    machine = Machine(threads=1, data_dir=moved)
    recipe = files_recipe(one)
    assert open_images(recipe, 0, machine).num_classes == 4
    early = replace(recipe, data=f"part:one-{identity(one)}")
    assert open_images(early, 0, machine).num_classes == 4  # as early records name it
    assert find_source(early.data).from_files
    next((moved / "train").rglob("*.JPEG")).write_bytes(b"another size")
    scan.cache_clear()
    assert identity(moved) != identity(one)
    with pytest.raises(ValueError, match=r"the recipe wants .* put the earlier ones back"):
        open_images(recipe, 0, machine)


@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_command_opens_every_image_of_a_tree(
    workers: str, tmp_path: Path, run_reproductions: Command
) -> None:
    tree = write_tree(tmp_path / "tree")
    words = ["check", "--data", f"part:{tree}", "--workers", workers]
    assert f"content {identity(tree)}; 0 cannot be read" in run_reproductions(*words)
    bad = [tree / "train" / "n02" / "3.JPEG", tree / "val" / "n04" / "0.JPEG"]
    for path in bad:
        path.write_bytes(path.read_bytes()[:200])
    text = run_reproductions(*words, status=1)
    assert all(str(path) in text for path in bad)
    assert "2 cannot be read" in text
    assert len(text.splitlines()) == 3
