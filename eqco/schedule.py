"""Many runs, one after the other or by several workers, that lose nothing when stopped."""

from __future__ import annotations

import multiprocessing
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from eqco import record as records
from eqco.checkpoint import Busy, TrainingError
from eqco.recipe import Machine, Recipe
from eqco.run import run


@dataclass(frozen=True)
class Job:
    """A recipe to be run with a seed."""

    recipe: Recipe
    seed: int

    @property
    def run_id(self) -> str:
        """Name of the run."""
        return self.recipe.run_id(self.seed)


def missing(jobs: Sequence[Job], folder: Path) -> list[Job]:
    """Those of `jobs` that have no record in `folder`."""
    return [job for job in jobs if records.find(folder, job.recipe, job.seed) is None]


def work(jobs: Sequence[Job], machine: Machine, folder: Path) -> Iterator[str]:
    """Run what is missing, in order; a run that another worker holds is left to it.

    Yields a line for each run done here.
    """
    for job in jobs:
        if records.find(folder, job.recipe, job.seed) is not None:
            continue
        try:
            done = run(job.recipe, job.seed, machine, folder)
        except Busy:
            continue
        except TrainingError as error:
            yield f"failed  {error}"
            continue
        accuracy = done["metrics"]["linear"]
        yield f"done  {job.run_id}  linear {accuracy:.2f} %  {done['seconds']['wall']:.0f} s"


def work_and_print(jobs: Sequence[Job], machine: Machine, folder: Path) -> None:
    """`work`, printing each line at once; a worker whose parent was killed ends with its run."""
    parent = multiprocessing.parent_process()
    for line in work(jobs, machine, folder):
        print(line, flush=True)
        if parent is not None and not parent.is_alive():
            return


def work_in_parallel(jobs: Sequence[Job], machine: Machine, folder: Path, workers: int) -> None:
    """Run what is missing with several processes of `machine.threads` threads each.

    On a CPU, W workers of one thread finish more runs an hour than one worker of W threads.
    """
    if workers == 1:
        work_and_print(jobs, machine, folder)
        return
    context = multiprocessing.get_context("spawn")
    team = [
        context.Process(target=work_and_print, args=(jobs, machine, folder)) for _ in range(workers)
    ]
    for each in team:
        each.start()
    for each in team:
        each.join()
