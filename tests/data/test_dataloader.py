"""Workers take no lock of a process along, need no guarded program, and end with their parent."""

from __future__ import annotations

import multiprocessing
import os
import subprocess
from pathlib import Path

import pytest

from eqco.config import Machine
from eqco.data.dataloader import loader
from eqco.data.decode import ImageError
from eqco.data.image_folder import scan
from eqco.data.streaming import RandomCropDataset
from tests.datasets import LOCK, Damaged, Locked, Processes
from tests.processes import python, start, wait_until
from tests.trees import write_tree

ONE = Machine(workers=1)


def test_a_lock_that_another_thread_holds_is_free_in_a_worker() -> None:
    with LOCK:  # as any library's may be while the workers start
        assert [bool(free) for free in loader(Locked(), ONE, batch_size=1)] == [True]


def test_without_workers_this_process_reads() -> None:
    found = list(loader(Processes(), Machine(workers=0), batch_size=10))
    assert {int(own) for own in found[0][0]} == {os.getpid()}


def test_a_script_needs_no_guard_and_signals_to_the_whole_job_take_no_image_away() -> None:
    job = start(
        "-m", "tests.programs.read_ahead", start_new_session=True, stderr=subprocess.DEVNULL
    )
    told, _ = job.communicate(timeout=120)
    assert job.returncode == 0, told
    first, *items = told.splitlines()
    assert first == "once"
    assert len(items) == 16
    assert len({line.split()[0] for line in items}) == 4  # two workers, and two others
    (server,) = {line.split()[1] for line in items}  # the fork server was not replaced
    assert server != str(job.pid)


def test_no_worker_outlives_a_reading_that_failed_or_was_left() -> None:
    with pytest.raises(ImageError, match=r"^cannot read image 1: cut off$") as kept:
        list(loader(Damaged(), ONE, batch_size=1))
    before = set(multiprocessing.active_children())
    left = loader(Processes(), ONE, batch_size=1)
    next(left)
    own = set(multiprocessing.active_children()) - before
    assert own
    left.close()
    wait_until(lambda: not own & set(multiprocessing.active_children()), seconds=20)
    assert kept.value.__suppress_context__


def is_running(process: int) -> bool:
    """Whether a process is there and no zombie."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="needs /proc")
def test_workers_of_a_killed_process_end() -> None:
    job = start(
        "-m", "tests.programs.read_ahead", "wait", start_new_session=True,
        stderr=subprocess.DEVNULL,  # semaphores are told of as leaked
    )  # fmt: skip
    assert job.stdout is not None
    lines = [job.stdout.readline() for _ in range(3)]
    processes = {int(number) for line in lines[1:] for number in line.split()}
    assert len(processes) == 3  # two workers and the fork server
    assert all(is_running(process) for process in processes)
    job.kill()
    job.wait()
    job.stdout.close()
    wait_until(lambda: not any(map(is_running, processes)), seconds=20)


def test_workers_share_the_names_of_a_tree_and_its_relative_paths(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_tree(tmp_path / "photos")
    monkeypatch.chdir(tmp_path)
    tree = scan(Path("photos"))
    crops = RandomCropDataset(tree.train, size=8, crop_scale=0.2, seed=0, names=("query",))
    places = [[(0, index) for index in range(len(tree.train))]]
    [(images, labels)] = loader(crops, ONE, batch_sampler=places)
    assert images.shape == (20, 1, 3, 8, 8)
    assert labels.tolist() == tree.train.labels.tolist()
    assert tree.train.padded.is_shared()
    assert tree.train.labels.is_shared()


def test_sockets_of_workers_have_short_names_where_the_temporary_folder_has_not(
    tmp_path: Path,
) -> None:
    folder = tmp_path / ("x" * 100)
    folder.mkdir()
    tree = write_tree(tmp_path / "tree")
    code = (
        "from eqco.config import Machine; from eqco.data import open_images; "
        "from tests.trees import files_recipe; from pathlib import Path; "
        f"tree = Path({str(tree)!r}); machine = Machine(threads=1, workers=1, data_dir=tree); "
        "print(open_images(files_recipe(tree), 0, machine).views(0)[0].shape[1])"
    )
    assert python("-c", code, TMPDIR=str(folder)).stdout == "3\n"
