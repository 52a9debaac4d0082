"""Starting runs elsewhere: by torchrun on the GPUs of a node, or as jobs of a SLURM cluster.

A run travels as a job file (recipe, seed, machine, records folder), so it can also be started by
hand: `python -m eqco run FILE`, or the same behind torchrun's own options.
"""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import torch

from eqco import parallel
from eqco import record as records
from eqco.checkpoint import TrainingError
from eqco.pretrain import Progress
from eqco.recipe import Machine, Recipe
from eqco.report import duration
from eqco.run import run
from eqco.schedule import Job

LAUNCHERS = ("here", "torchrun", "slurm")


@dataclass(frozen=True)
class Order:
    """A job with everything that another process needs to do it.

    Attributes:
        job: recipe and seed.
        machine: where and how.
        folder: of the records.
    """

    job: Job
    machine: Machine
    folder: Path

    def write(self) -> Path:
        """Put the job file beside the checkpoints; returns its path."""
        path = (self.machine.checkpoints / f"{self.job.run_id}.job.json").resolve()
        records.check_writable(path.parent)
        machine = {
            name: str(v) if isinstance(v, Path) else v for name, v in vars(self.machine).items()
        }
        body = {
            "recipe": asdict(self.job.recipe),
            "seed": self.job.seed,
            "machine": machine,
            "folder": str(self.folder.resolve()),
        }
        records.write_atomically(path, json.dumps(body, indent=1) + "\n")
        return path

    @classmethod
    def read(cls, path: Path) -> Order:
        """The order of a job file.

        Raises:
            ValueError: the file is missing or is not a job file.
        """
        try:
            body = json.loads(path.read_text(encoding="utf-8"))
            paths = {each.name for each in fields(Machine) if each.type == "Path"}
            given = body["machine"].items()
            machine: Any = {name: Path(v) if name in paths else v for name, v in given}
            job = Job(Recipe.of(body["recipe"]), int(body["seed"]))
            return cls(job, Machine(**machine), Path(body["folder"]))
        except (OSError, KeyError, TypeError, json.JSONDecodeError) as error:
            raise ValueError(f"{path} is no job file ({error}): write it anew") from error

    def do(self, progress: Progress | None = None) -> records.Record | None:
        """Do the run in this process, together with the others that torchrun started.

        Returns:
            The record; None on all processes but the first.
        """
        records.check_writable(self.folder)
        records.check_writable(self.machine.checkpoints)
        device = parallel.start(self.machine.device)
        try:
            machine = Machine(**{**vars(self.machine), "device": device})
            done = run(self.job.recipe, self.job.seed, machine, self.folder, progress)
            return done if parallel.rank() == 0 else None
        finally:
            parallel.stop()


class Log:
    """Progress as lines of text, one a minute at most, for logs of jobs that nobody watches.

    Args:
        images: images of a step, all processes together.
        seconds: between two lines.
    """

    def __init__(self, images: int, seconds: float = 60.0) -> None:
        self.images, self.seconds = images, seconds
        self.stage, self.since, self.first, self.said = "", 0.0, 0, 0.0

    def __call__(self, stage: str, step: int, steps: int, loss: float) -> None:
        """Print where the run is, where it is time to."""
        clock = time.monotonic()
        if stage != self.stage:
            self.stage, self.since, self.first, self.said = stage, clock, step, clock
            print(f"{stage} from step {step} of {steps}", flush=True)
        elif clock - self.said >= self.seconds or step == steps:
            rate = (step - self.first) / max(clock - self.since, 1e-9)  # steps a second
            print(
                f"{stage} {step}/{steps}  loss {loss:.3f}  {rate * self.images:,.0f} images/s  "
                f"{duration((steps - step) / max(rate, 1e-9))} left",
                flush=True,
            )
            self.said = clock


def check_processes(recipe: Recipe, processes: int, machine: Machine) -> None:
    """Raise ValueError where a run cannot be shared by so many processes."""
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
        options: torchrun's own, for instance of a rendezvous over several nodes; without any the
            run stays on this node.
    """
    return [
        *(sys.executable, "-m", "torch.distributed.run"),
        *(options or ("--standalone",)),
        f"--nproc-per-node={processes}",
        *("-m", "eqco", "run", str(order)),
    ]


def by_torchrun(order: Order, processes: int, options: Sequence[str] = ()) -> records.Record:
    """Do a run on several processes of this node and wait for it; a killed one goes on next time.

    Raises:
        TrainingError: the processes failed; the message has the command to start by hand.
        ValueError: so many processes cannot share the run.
    """
    check_processes(order.job.recipe, processes, order.machine)
    command = torchrun_command(order.write(), processes, options)
    done = subprocess.run(command, check=False)
    found = records.find(order.folder, order.job.recipe, order.job.seed)
    if done.returncode or found is None:
        raise TrainingError(
            f"{order.job.run_id} ended with status {done.returncode}; its checkpoint is kept, go "
            f"on with: {shlex.join(command)}"
        )
    return found


class SlurmTask:
    """What submitit runs on a node: torchrun on its GPUs; requeued, it resumes its checkpoint."""

    def __init__(self, order: Order, processes: int) -> None:
        self.order, self.processes = order, processes

    def __call__(self) -> str:
        """Do the run; returns its name."""
        return str(by_torchrun(self.order, self.processes)["run_id"])

    def checkpoint(self) -> Any:
        """What submitit puts back into the queue when the job is preempted or times out."""
        import submitit

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
        ValueError: submitit is not installed, or so many processes cannot share the run.
    """
    try:
        import submitit
    except ImportError as error:
        raise ValueError('--launcher slurm needs submitit: pip install "eqco[slurm]"') from error
    if cluster == "local":
        check_processes(order.job.recipe, processes, order.machine)
    executor = submitit.AutoExecutor(folder=logs, cluster=cluster)
    cpus = processes * (order.machine.workers + 1)  # one task holds torchrun and all it starts
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
    return executor.submit(SlurmTask(order, processes))
