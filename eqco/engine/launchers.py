"""Launchers: torchrun on the GPUs of a node, jobs of a SLURM cluster.

A run is passed on as a job file (recipe, seed, machine, records folder), which can also be run by
hand: `python -m eqco run FILE`, or the same behind torchrun's own options.
"""

from __future__ import annotations

import shlex
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from signal import SIGTERM
from typing import Any

import torch

from eqco.artifacts.record import Record
from eqco.artifacts.run_files import Run
from eqco.config import DEVICES
from eqco.engine.pretrain import check_sharing
from eqco.engine.progress import Progress
from eqco.engine.run import run
from eqco.engine.slurm import outside_of_a_job, remember
from eqco.runtime import distributed
from eqco.runtime.files import check_locks, check_writable
from eqco.runtime.signals import Stopped, catching, deferred
from eqco.runtime.validation import TrainingError, check_name

LAUNCHERS = ("here", "torchrun", "slurm")


def choose_device(text: str, launcher: str = "here") -> str:
    """The device asked for; "auto" is a GPU where this host has one, and always on a cluster.

    Raises:
        ValueError: there is no such device here.
    """
    has_gpu = torch.cuda.is_available() or launcher == "slurm"
    if text == "auto":
        return "cuda" if has_gpu else "cpu"
    kind = text.partition(":")[0]
    check_name("device", kind, DEVICES)
    accelerator = torch.accelerator.current_accelerator(check_available=True)
    known = ("cpu", "cuda" if has_gpu else "", accelerator.type if accelerator else "")
    if kind not in known and launcher != "slurm":
        raise ValueError(f"--device {text}: torch sees no such device here, use --device cpu")
    return text


def do_shared(job: Run, progress: Progress | None = None) -> Record | None:
    """Do a run in this process, together with the others that torchrun started.

    Returns:
        The record; None on all processes but the first.
    """
    check_writable(job.folder)
    check_writable(job.machine.checkpoints)
    check_locks(job.machine.checkpoints)
    device = distributed.start(job.machine.device)
    try:
        return run(*job._replace(machine=replace(job.machine, device=device)), progress)
    except RuntimeError as error:
        if why := distributed.lost_process(error):
            raise TrainingError(f"{job.run_id} cannot continue, {why}; {job.kept()}") from error
        raise
    finally:
        distributed.stop()


def check_processes(run: Run, processes: int, *, on_this_node: bool = True) -> None:
    """Raise ValueError where that number of processes of a node cannot share a run."""
    if processes < 1:
        raise ValueError(f"processes must be at least 1, got {processes}")
    check_sharing(run.recipe, processes)
    gpus = torch.cuda.device_count()
    if on_this_node and run.machine.device.startswith("cuda") and processes > gpus:
        raise ValueError(f"{processes} processes on cuda need as many GPUs, this node has {gpus}")


def torchrun_command(job: Path, processes: int, options: Sequence[str] = ()) -> list[str]:
    """What starts the run of a job file on processes of this node, one a GPU.

    `options` are torchrun's, such as the rendezvous of several nodes; none for this node alone.
    """
    return [
        *(sys.executable, "-m", "torch.distributed.run"),
        *(options or ("--standalone",)),
        f"--nproc-per-node={processes}",
        *("-m", "eqco", "run", str(job)),
    ]


def by_torchrun(run: Run, processes: int, options: Sequence[str] = ()) -> Record:
    """Do a run on several processes of this node and wait for it; a killed run is resumed.

    Raises:
        TrainingError: the processes failed; the message has the command to continue by hand.
        ValueError: that number of processes cannot share the run.
    """
    check_processes(run, processes)
    command = torchrun_command(run.write_job(), processes, options)
    try:
        with catching():
            status = wait_for(command)
    except Stopped as stop:
        raise Stopped(stop.number, run.kept()) from stop
    record = run.record()
    if status or record is None:
        raise TrainingError(
            f"{run.run_id} ended with status {status}; {run.kept()}, "
            f"continue with: {shlex.join(command)}"
        )
    return record


GRACE = 90.0  # seconds; torchrun itself gives its processes 30 s to save
torchruns: list[subprocess.Popen[bytes]] = []  # those that this process waits for


def wait_for(command: list[str]) -> int:
    """Run torchrun and return its status; whatever ends the wait lets its processes save first.

    In a session of its own it gets Ctrl-C once, from here: a second one would end it at once.
    """
    child = None
    try:
        with deferred():
            child = subprocess.Popen(command, start_new_session=True)
            torchruns.append(child)
        while (status := child.poll()) is None:  # `wait` could not be interrupted by `end`
            time.sleep(0.05)
        return status
    except BaseException as error:
        if child is not None:
            end(child, getattr(error, "number", SIGTERM))
        raise
    finally:
        if child is not None:
            torchruns.remove(child)


def end(child: subprocess.Popen[bytes], number: int) -> None:
    """Pass a signal on, and return when the process has ended; kill it after GRACE."""
    if child.poll() is None:
        child.send_signal(number)
    try:
        child.wait(GRACE)
    except subprocess.TimeoutExpired:
        child.kill()


class SlurmTask:
    """What submitit runs on a node: torchrun on its GPUs; requeued, it resumes its checkpoint."""

    def __init__(self, run: Run, processes: int) -> None:
        self.run, self.processes = run, processes

    def __call__(self) -> str:
        """Do the run; returns its name."""
        return by_torchrun(self.run, self.processes).run_id

    def checkpoint(self) -> Any:
        """What submitit puts back into the queue when the job is preempted or times out.

        The processes have saved when it returns.
        """
        import submitit

        for child in list(torchruns):
            end(child, SIGTERM)
        return submitit.helpers.DelayedSubmission(self)


def by_slurm(
    run: Run, processes: int, logs: Path, *, cluster: str = "slurm", **parameters: Any
) -> Any:
    """Submit a run as one job of one node; returns submitit's job at once.

    Args:
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
    check_processes(run, processes, on_this_node=cluster == "local")
    executor = submitit.AutoExecutor(folder=logs, cluster=cluster)
    cpus = processes * (run.machine.workers + 1)  # one task runs torchrun and its processes
    options = {"name": run.run_id, "nodes": 1, "tasks_per_node": 1, "cpus_per_task": cpus}
    options |= parameters
    if run.machine.device.startswith("cuda"):
        options.setdefault("gpus_per_node", processes)
    try:
        executor.update_parameters(**options)
    except (AssertionError, NameError, TypeError, ValueError) as error:
        raise ValueError(f"submitit does not take these options: {error}") from error
    run = run.absolute()
    with outside_of_a_job():
        job = executor.submit(SlurmTask(run, processes))
    remember(run, job, cluster)
    return job
