"""The runs behind every table at the glyphs scale, and the sweep learning rate x K x loss.

    python -m reproductions sweep --at-once 2 --records reproductions/records

About 80 s a run on 2 cores, two at a time. Runs that have a record are skipped. A stopped sweep
continues from its checkpoints with the same command.
"""

from __future__ import annotations

import argparse
import multiprocessing
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from eqco.checks import TrainingError
from eqco.recipe import Recipe
from eqco.runs.checkpoint import Busy
from eqco.runs.files import check_writable
from eqco.runs.record import Record
from eqco.runs.run import Job, run, untrained
from eqco.settings import Machine
from reproductions.scales import SCALES
from reproductions.tables import TABLES, table

RATES = (0.01, 0.025, 0.06, 0.16, 0.4, 1.0)
METHOD_RATES = (0.06, 0.16, 0.4)
SEEDS = (0, 1, 2)


def baselines() -> list[Recipe]:
    """SiMo with InfoNCE and all negatives at each rate, to choose the rate of table 1."""
    base = SCALES["glyphs"].base
    return [replace(base, learning_rate=rate) for rate in RATES]


def grid() -> list[Recipe]:
    """Every cell of table 1 besides the baseline at each rate."""
    rows = [row.recipe for row in table(1, "glyphs").rows if row.recipe != SCALES["glyphs"].base]
    return [replace(recipe, learning_rate=rate) for recipe in rows for rate in RATES]


def method_baselines() -> list[Recipe]:
    """Full-K InfoNCE of MoCo v2 and SimCLR at each rate, to choose their rates."""
    return [
        replace(SCALES["glyphs"].baseline(method), learning_rate=rate)
        for method in ("moco", "simclr")
        for rate in METHOD_RATES
    ]


def jobs(table_seeds: int) -> list[Job]:
    """Baselines, tables with their seeds, then the grid seed by seed."""
    rows = [row.recipe for number in TABLES for row in table(number, "glyphs").rows]
    found = [Job(recipe, seed) for seed in SEEDS for recipe in baselines()]
    found += [Job(recipe, 0) for recipe in method_baselines()]
    found += [
        Job(recipe, seed)
        for seed in range(table_seeds)
        for recipe in [untrained(SCALES["glyphs"].base), *rows]
    ]
    found += [Job(recipe, seed) for seed in SEEDS for recipe in grid()]
    return list({job.run_id: job for job in found}.values())


def missing(jobs: Sequence[Job], folder: Path) -> list[Job]:
    """Those of `jobs` that have no record in `folder`."""
    return [job for job in jobs if Record.find(folder, job.recipe, job.seed) is None]


def work(jobs: Sequence[Job], machine: Machine, folder: Path) -> Iterator[str]:
    """Do the missing runs in order, except those that another process is doing.

    Yields a line for each run done here.
    """
    for job in jobs:
        if Record.find(folder, job.recipe, job.seed) is not None:
            continue
        try:
            done = run(job.recipe, job.seed, machine, folder)
        except Busy:
            continue
        except TrainingError as error:
            yield f"failed  {error}"
            continue
        assert done is not None
        accuracy, seconds = done.metrics["linear"], done.seconds["wall"]
        yield f"done  {job.run_id}  linear {accuracy:.2f} %  {seconds:.0f} s"


def work_and_print(jobs: Sequence[Job], machine: Machine, folder: Path) -> None:
    """Print each line of `work` at once; stop after the current run where the parent was killed."""
    parent = multiprocessing.parent_process()
    for line in work(jobs, machine, folder):
        print(line, flush=True)
        if parent is not None and not parent.is_alive():
            return


def work_in_parallel(jobs: Sequence[Job], machine: Machine, folder: Path, at_once: int) -> None:
    """Do the missing runs with several processes of `machine.threads` threads each.

    On a CPU, a run of one thread on each core finishes more runs an hour than one on all cores.
    """
    if at_once == 1:
        work_and_print(jobs, machine, folder)
        return
    context = multiprocessing.get_context("spawn")
    team = [
        context.Process(target=work_and_print, args=(jobs, machine, folder)) for _ in range(at_once)
    ]
    for each in team:
        each.start()
    for each in team:
        each.join()


def main(given: argparse.Namespace) -> int:
    """Do the missing runs of the sweep."""
    folder = given.records / "glyphs"
    check_writable(folder)
    wanted = [job for job in jobs(given.seeds) if given.only in job.run_id]
    print(f"{len(missing(wanted, folder))} of {len(wanted)} runs are missing in {folder}")
    machine = Machine(threads=1, checkpoints=given.checkpoints)
    work_in_parallel(wanted, machine, folder, given.at_once)
    return 0
