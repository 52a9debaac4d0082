"""Launchers: torchrun on the GPUs of a node, jobs of a SLURM cluster.

A run is passed on as a job file (recipe, seed, machine, records folder), which can also be run by
hand: `python -m eqco run FILE`, or the same behind torchrun's own options.
"""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from signal import SIGTERM
from typing import Any

import torch

from eqco.artifacts.record import Record
from eqco.config import DEVICES, Machine
from eqco.engine.progress import Progress
from eqco.engine.run import Job, kept, run
from eqco.engine.slurm import outside_of_a_job, remember
from eqco.recipe import Recipe
from eqco.runtime import distributed
from eqco.runtime.files import check_locks, check_writable, read_json, write_atomically
from eqco.runtime.signals import Stopped, catching
from eqco.runtime.text import plain
from eqco.runtime.validation import SEED, TrainingError, check_folder, check_name, shown

LAUNCHERS = ("here", "torchrun", "slurm")


def choose_device(text: str, launcher: str = "here") -> str:
    """The device asked for; "auto" is a GPU where this host has one, and always on a cluster.

    Raises:
        ValueError: there is no such device here.
    """
    has_gpu = torch.cuda.is_available() or launcher == "slurm"
    if text == "auto":
        return "cuda" if has_gpu else "cpu"
    check_name("device", text.partition(":")[0], DEVICES)
    if text.startswith("cuda") and not has_gpu:
        raise ValueError(f"--device {text}: torch sees no GPU here, use --device cpu")
    return text


FIELDS = ("recipe", "seed", "machine", "folder")


def check_table(what: str, value: Any, names: Sequence[str]) -> dict[str, Any]:
    """A table of exactly these fields, else ValueError that names the missing or unknown one."""
    if not isinstance(value, dict):
        raise ValueError(f"{what} must be a table of fields, got {shown(value)}")
    for name in value:
        check_name(f"field of {what}", name, names)
    for name in names:
        if name not in value:
            raise ValueError(f"{what} lacks the field {name}")
    return value


@dataclass(frozen=True)
class Order:
    """A job with everything that another process needs to run it.

    Attributes:
        job: recipe and seed.
        machine: where and how.
        folder: of the records.
    """

    job: Job
    machine: Machine
    folder: Path

    def absolute(self) -> Order:
        """The same order with paths that do not depend on the current folder."""
        own = self.machine
        data, checkpoints = own.data_dir.resolve(), own.checkpoints.resolve()
        own = replace(own, data_dir=data, checkpoints=checkpoints)
        return replace(self, machine=own, folder=self.folder.resolve())

    def write(self) -> Path:
        """Write the job file beside the checkpoints, with absolute paths; returns its path."""
        own = self.absolute().machine
        path = own.checkpoints / f"{self.job.run_id}.job.json"
        check_writable(path.parent)
        machine = {name: str(v) if isinstance(v, Path) else v for name, v in vars(own).items()}
        body = {
            "recipe": asdict(self.job.recipe),
            "seed": self.job.seed,
            "machine": machine,
            "folder": str(self.folder.resolve()),
        }
        write_atomically(path, json.dumps(body, indent=1) + "\n")
        return path

    @classmethod
    def read(cls, path: Path) -> Order:
        """The order of a job file.

        Raises:
            ValueError: the file is missing or is not a job file.
        """
        try:
            body = check_table("it", read_json(path), FIELDS)
            machine = check_table(
                "machine", body["machine"], [each.name for each in fields(Machine)]
            )
            recipe = check_table("recipe", body["recipe"], [each.name for each in fields(Recipe)])
            job = Job(Recipe.of(recipe), SEED.check("seed", body["seed"]))
            order = cls(job, Machine(**machine), check_folder("folder", body["folder"]))
            return order.anchored(path)
        except OSError as error:
            raise ValueError(f"job file {path} cannot be opened: {error.strerror}") from error
        except ValueError as error:
            raise ValueError(plain(f"{path} is no job file ({error}): write it anew")) from error

    def anchored(self, path: Path) -> Order:
        """The order of an older job file, whose relative paths end in the folder it lies in.

        Raises:
            ValueError: it lies elsewhere, so that its paths mean another folder than they did.
        """
        own, home = self.machine, path.resolve().parent
        if own.checkpoints.is_absolute():
            return self
        parts = Path(os.path.normpath(own.checkpoints)).parts
        if home.parts[-len(parts) :] != parts:
            raise ValueError(f"its checkpoints {own.checkpoints} are relative to an unknown folder")
        root = Path(*home.parts[: -len(parts)])
        own = replace(own, data_dir=root / own.data_dir, checkpoints=home)
        return replace(self, machine=own, folder=root / self.folder)

    def do(self, progress: Progress | None = None) -> Record | None:
        """Do the run in this process, together with the others that torchrun started.

        Returns:
            The record; None on all processes but the first.
        """
        check_writable(self.folder)
        check_writable(self.machine.checkpoints)
        check_locks(self.machine.checkpoints)
        device = distributed.start(self.machine.device)
        try:
            machine = replace(self.machine, device=device)
            return run(self.job.recipe, self.job.seed, machine, self.folder, progress)
        finally:
            distributed.stop()


def check_processes(recipe: Recipe, processes: int, machine: Machine) -> None:
    """Raise ValueError where that number of processes cannot share a run."""
    if processes < 1:
        raise ValueError(f"processes must be at least 1, got {processes}")
    if processes > recipe.batch_size or recipe.batch_size % processes:
        raise ValueError(
            f"{processes} processes cannot share a batch of {recipe.batch_size} equally: choose a "
            "number that divides it"
        )
    if recipe.bn_splits > 1 and recipe.bn_splits % processes:
        raise ValueError(
            f"bn_splits is {recipe.bn_splits}, which {processes} processes cannot share equally"
        )
    gpus = torch.cuda.device_count()
    if machine.device.startswith("cuda") and processes > gpus:
        raise ValueError(f"{processes} processes on cuda need as many GPUs, this node has {gpus}")


def torchrun_command(order: Path, processes: int, options: Sequence[str] = ()) -> list[str]:
    """What starts a run on `processes` processes of this node.

    Args:
        order: the job file.
        processes: of this node, one a GPU.
        options: torchrun's, for instance of a rendezvous of several nodes; none for this node.
    """
    return [
        *(sys.executable, "-m", "torch.distributed.run"),
        *(options or ("--standalone",)),
        f"--nproc-per-node={processes}",
        *("-m", "eqco", "run", str(order)),
    ]


def by_torchrun(order: Order, processes: int, options: Sequence[str] = ()) -> Record:
    """Do a run on several processes of this node and wait for it; a killed run is resumed.

    Raises:
        TrainingError: the processes failed; the message has the command to continue by hand.
        ValueError: that number of processes cannot share the run.
    """
    check_processes(order.job.recipe, processes, order.machine)
    command = torchrun_command(order.write(), processes, options)
    place = (order.job.recipe, order.job.seed, order.machine, order.folder)
    try:
        with catching():
            status = wait_for(command)
    except Stopped as stop:
        raise Stopped(stop.number, kept(*place)) from stop
    found = Record.find(order.folder, order.job.recipe, order.job.seed)
    if status or found is None:
        raise TrainingError(
            f"{order.job.run_id} ended with status {status}; {kept(*place)}, "
            f"continue with: {shlex.join(command)}"
        )
    return found


GRACE = 90.0  # seconds; torchrun itself gives its processes 30 s to save
torchruns: list[subprocess.Popen[bytes]] = []  # those that this process waits for


def wait_for(command: list[str]) -> int:
    """Run torchrun and return its status; whatever ends the wait lets its processes save first.

    In a session of its own it gets Ctrl-C once, from here: a second one would end it at once.
    """
    child = subprocess.Popen(command, start_new_session=True)
    torchruns.append(child)
    try:
        while (status := child.poll()) is None:  # `wait` could not be interrupted by `end`
            time.sleep(0.05)
        return status
    except BaseException as error:
        end(child, getattr(error, "number", SIGTERM))
        raise
    finally:
        torchruns.remove(child)


def end(child: subprocess.Popen[bytes], number: int) -> None:
    """Pass a signal on, and return when the process has ended; kill it after GRACE."""
    deadline = time.monotonic() + GRACE
    if child.poll() is None:
        child.send_signal(number)
    while child.poll() is None and time.monotonic() < deadline:
        time.sleep(0.05)
    if child.poll() is None:
        child.kill()


class SlurmTask:
    """What submitit runs on a node: torchrun on its GPUs; requeued, it resumes its checkpoint."""

    def __init__(self, order: Order, processes: int) -> None:
        self.order, self.processes = order, processes

    def __call__(self) -> str:
        """Do the run; returns its name."""
        return by_torchrun(self.order, self.processes).run_id

    def checkpoint(self) -> Any:
        """What submitit puts back into the queue when the job is preempted or times out.

        The processes have saved when it returns.
        """
        import submitit

        for child in list(torchruns):
            end(child, SIGTERM)
        return submitit.helpers.DelayedSubmission(self)


def by_slurm(
    order: Order, processes: int, logs: Path, *, cluster: str = "slurm", **parameters: Any
) -> Any:
    """Submit a run as one job of one node; returns submitit's job at once.

    Args:
        order: the run.
        processes: GPUs of the job.
        logs: folder of submitit's files.
        cluster: "slurm", or "local" for a process on this machine.
        parameters: submitit's, such as slurm_partition="gpu" or timeout_min=1440.

    Raises:
        ValueError: submitit is not installed, or that number of processes cannot share the run.
    """
    try:
        import submitit
    except ImportError as error:
        raise ValueError('--launcher slurm needs submitit: pip install "eqco[slurm]"') from error
    if cluster == "local":
        check_processes(order.job.recipe, processes, order.machine)
    executor = submitit.AutoExecutor(folder=logs, cluster=cluster)
    cpus = processes * (order.machine.workers + 1)  # one task runs torchrun and its processes
    given = {
        "name": order.job.run_id,
        "nodes": 1,
        "tasks_per_node": 1,
        "cpus_per_task": cpus,
        **parameters,
    }
    if order.machine.device.startswith("cuda"):
        given.setdefault("gpus_per_node", processes)
    try:
        executor.update_parameters(**given)
    except (AssertionError, NameError, TypeError, ValueError) as error:
        raise ValueError(f"submitit does not take these options: {error}") from error
    order = order.absolute()
    with outside_of_a_job():
        job = executor.submit(SlurmTask(order, processes))
    remember(order.machine.checkpoints, order.job.run_id, job, cluster)
    return job
