"""The runs behind every table, and the sweep learning rate x K x loss.

    python -m reproductions sweep --seeds 10
    python -m reproductions sweep --parts tables --tables 1 2 3 --first-seed 10 --seeds 5
    python -m reproductions sweep --experiment long-training
    python -m reproductions sweep --skip-committed     what the committed records lack

One thread a run, as many runs at once as there are cores. Runs that have a record are skipped. A
stopped sweep continues from its checkpoints with the same command. `python -m reproductions records
add` puts its records among the committed ones.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import sys
from collections.abc import Iterator, Sequence

from eqco.artifacts.run_files import Busy, Run
from eqco.config import Machine
from eqco.engine.launchers import choose_device
from eqco.engine.run import run
from eqco.runtime.files import check_locks, check_writable
from eqco.runtime.signals import Stopped, catching
from eqco.runtime.text import plain
from reproductions.experiments.grid import check_choice, chosen_jobs
from reproductions.experiments.resolve import choose_data
from reproductions.results.evidence import committed, other_images
from reproductions.results.records import Records, is_committed
from reproductions.scales import SCALES


def missing(jobs: Sequence[Run]) -> list[Run]:
    """Those that have no record in their folder."""
    records = {job.folder: Records(job.folder) for job in jobs}
    return [job for job in jobs if records[job.folder].find(job.recipe, job.seed) is None]


def work(jobs: Sequence[Run]) -> Iterator[str]:
    """Do the missing runs in order, except those that another process is doing.

    Yields a line for each run done here.
    """
    for job in jobs:
        if not missing([job]):
            continue
        try:
            done = run(*job)
        except Busy:
            continue
        except (ValueError, RuntimeError, OSError) as error:
            yield plain(f"failed  {error}")
            continue
        assert done is not None
        accuracy, seconds = done.metrics["linear"], done.seconds["wall"]
        yield f"done  {job.run_id}  linear {accuracy:.2f} %  {seconds:.0f} s"


def work_and_print(jobs: Sequence[Run]) -> None:
    """Print each line of `work` at once; stop after the current run where the parent was killed."""
    parent = multiprocessing.parent_process()
    for line in work(jobs):
        print(line, flush=True)
        if parent is not None and not parent.is_alive():
            return


def worker(jobs: Sequence[Run]) -> None:
    """`work_and_print` of a process; a signal ends it with 128 + its number, its run saved."""
    try:
        with catching():
            work_and_print(jobs)
    except Stopped as stop:
        print(stop.sentence(), flush=True)
        sys.exit(stop.status)


def work_in_parallel(jobs: Sequence[Run], at_once: int) -> None:
    """Do the missing runs with several processes.

    On a CPU, a run of one thread on each core finishes more runs an hour than one on all cores.
    """
    if at_once == 1:
        work_and_print(jobs)
        return
    context = multiprocessing.get_context("spawn")
    team = [context.Process(target=worker, args=(jobs,)) for _ in range(at_once)]
    try:
        for each in team:
            each.start()
        for each in team:
            each.join()
    except Stopped as stop:
        for each in team:
            if each.pid and each.is_alive():
                os.kill(each.pid, stop.number)
        for each in team:
            if each.pid:
                each.join()
        raise
    for each in team:
        if each.exitcode:
            print(f"a worker ended with status {each.exitcode}, before its runs were done")


def closing(wanted: Sequence[Run], *, strict_busy: bool) -> int:
    """Print what has no record yet, and why; returns 1 where it should have one."""
    left, busy = missing(wanted), 0
    for job in left:
        try:
            job.check_free()
        except Busy:
            busy += 1
    if busy:
        print(f"{busy} runs are being run by another process: the same command later counts them")
    if len(left) > busy:
        names = ", ".join(job.run_id for job in left[:3])
        print(f"{len(left) - busy} of {len(wanted)} runs have no record: {names}, ...")
    return int(len(left) > busy or (strict_busy and busy > 0))


def main(given: argparse.Namespace) -> int:
    """Do the missing runs of the sweep; returns 1 where a run failed or a worker was killed.

    Raises:
        ValueError: an option is wrong, --only names no run, or a folder cannot be used.
        Stopped: by a signal; runs that were going on are saved.
    """
    check_choice(given)
    scale = SCALES[given.scale]
    base, data_dir = choose_data(given.data, Machine.data_dir, scale)
    device = choose_device(given.device)
    machine = Machine(device=device, threads=1, checkpoints=given.checkpoints, data_dir=data_dir)
    folder = given.records / given.scale
    if is_committed(folder):
        raise ValueError(
            f"{given.records} holds the committed records: sweep into another folder, with "
            "--skip-committed, and then python -m reproductions records add FOLDER"
        )
    for needed in (folder, given.checkpoints):
        check_writable(needed)
    check_locks(given.checkpoints)
    seeds = range(given.first_seed, given.first_seed + given.seeds)
    wanted = chosen_jobs(given, base, seeds)
    names = [job.run_id for job in wanted]
    wanted = [
        job._replace(machine=machine, folder=folder) for job in wanted if given.only in job.run_id
    ]
    if not wanted:
        raise ValueError(f"--only {given.only!r} is in no name of {len(names)} runs, as {names[0]}")
    if given.skip_committed:
        known = {record.run_id for record in committed(given.scale).records}
        wanted = [job for job in wanted if job.run_id not in known]
    if other := other_images(given.scale, base):
        print(other)
    print(f"{len(missing(wanted))} of {len(wanted)} runs are missing in {folder}")
    try:
        work_in_parallel(wanted, given.at_once)
    except Stopped as stop:
        left = f"{len(missing(wanted))} of {len(wanted)} runs have no record in {folder}"
        raise Stopped(stop.number, stop.kept or left) from stop
    return closing(wanted, strict_busy=given.strict_busy)
