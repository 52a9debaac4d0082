"""The runs behind every table, and the sweep learning rate x K x loss.

    python -m reproductions sweep --seeds 10 --records reproductions/records
    python -m reproductions sweep --parts tables --tables 1 2 3 --first-seed 10 --seeds 5

One thread a run, as many runs at once as there are cores. Runs that have a record are skipped. A
stopped sweep continues from its checkpoints with the same command.
"""

from __future__ import annotations

import argparse
import multiprocessing
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from eqco.checks import TrainingError
from eqco.recipe import Recipe
from eqco.runs.checkpoint import Busy
from eqco.runs.files import check_writable
from eqco.runs.record import Record
from eqco.runs.run import Job, run, untrained
from eqco.settings import Machine
from reproductions.plan import check_tables
from reproductions.scales import SCALES, Scale
from reproductions.session import choose_data, choose_device
from reproductions.tables import TABLES
from reproductions.tables.cells import with_loss

RATES = (0.01, 0.025, 0.06, 0.16, 0.4, 1.0)
METHOD_RATES = (0.03, 0.06, 0.16, 0.4)
BASELINE_SEEDS = range(3)  # enough to choose a rate
GRID_SEEDS = range(5)


def at_rates(recipes: Iterable[Recipe], rates: Iterable[float]) -> list[Recipe]:
    """Each recipe at each learning rate."""
    return [replace(recipe, learning_rate=rate) for recipe in recipes for rate in rates]


def baselines(scale: Scale, base: Recipe) -> list[Recipe]:
    """InfoNCE with all negatives at each rate, by which the rates of all rows are chosen."""
    others = (scale.baseline(method, base) for method in ("moco", "simclr"))
    return at_rates([base], RATES) + at_rates(others, METHOD_RATES)


def grid(scale: Scale, base: Recipe) -> list[Recipe]:
    """Table 1 at each rate; InfoNCE and EqCo of MoCo v2 and SimCLR at K = 16 and full K."""
    simo = [row.recipe for row in TABLES[1](scale, base).rows]
    others = []
    for method in ("moco", "simclr"):
        full = scale.baseline(method, base)
        for loss in ("infonce", "eqco"):
            others += [with_loss(full, loss, k).recipe for k in (16, full.num_negatives)]
    return at_rates(simo, RATES) + at_rates(others, METHOD_RATES)


def rows(scale: Scale, base: Recipe, tables: Iterable[int]) -> list[Recipe]:
    """The untrained backbone and every row of some tables."""
    found = [row.recipe for number in tables for row in TABLES[number](scale, base).rows]
    return [untrained(base), *found]


PARTS: dict[str, Callable[[Scale, Recipe, Sequence[int]], list[Recipe]]] = {
    "baselines": lambda scale, base, _: baselines(scale, base),
    "tables": rows,
    "grid": lambda scale, base, _: grid(scale, base),
}
LIMITED = {"baselines": BASELINE_SEEDS, "grid": GRID_SEEDS}


def jobs(
    scale: Scale,
    base: Recipe,
    seeds: range,
    parts: Sequence[str] = tuple(PARTS),
    tables: Sequence[int] = tuple(TABLES),
) -> list[Job]:
    """Runs part by part, then seed by seed.

    Args:
        scale: of all runs.
        base: its SiMo baseline, with the user's images where the scale needs a folder.
        seeds: of the tables; the other parts have those that are in `LIMITED` too.
        parts: names in `PARTS`.
        tables: numbers of tables.
    """
    found = [
        Job(recipe, seed)
        for part in parts
        for seed in seeds
        if part not in LIMITED or seed in LIMITED[part]
        for recipe in PARTS[part](scale, base, tables)
    ]
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
    scale = SCALES[given.scale]
    base, data_dir = choose_data(given.data, Machine.data_dir, scale)
    folder = given.records / given.scale
    check_writable(folder)
    check_tables(given.tables)
    seeds = range(given.first_seed, given.first_seed + given.seeds)
    wanted = jobs(scale, base, seeds, given.parts, given.tables or list(TABLES))
    wanted = [job for job in wanted if given.only in job.run_id]
    print(f"{len(missing(wanted, folder))} of {len(wanted)} runs are missing in {folder}")
    device = choose_device(given.device, "here")
    machine = Machine(device=device, threads=1, checkpoints=given.checkpoints, data_dir=data_dir)
    work_in_parallel(wanted, machine, folder, given.at_once)
    return 0
