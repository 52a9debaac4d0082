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
from collections.abc import Sequence

from eqco.artifacts.run_files import Busy, Run
from eqco.config import Machine
from eqco.engine.launchers import choose_device
from eqco.runtime.files import check_locks, check_writable
from eqco.runtime.signals import Stopped
from reproductions.experiments.grid import check_choice, chosen_jobs
from reproductions.experiments.pool import Lines, missing, work_in_parallel
from reproductions.experiments.resolve import (
    check_batch,
    check_speed,
    choose_data,
    choose_precision,
)
from reproductions.results.evidence import committed, other_images
from reproductions.results.records import is_committed
from reproductions.scales import SCALES


def closing(wanted: Sequence[Run], *, strict_busy: bool) -> int:
    """Print what has no record yet, and why; returns 1 where it should have one."""
    lacking, busy = missing(wanted), 0
    for job in lacking:
        try:
            job.check_free()
        except Busy:
            busy += 1
    if busy:
        print(f"{busy} runs are being run by another process: the same command later counts them")
    if len(lacking) > busy:
        names = ", ".join(job.run_id for job in lacking[:3])
        print(f"{len(lacking) - busy} of {len(wanted)} runs have no record: {names}, ...")
    return int(len(lacking) > busy or (strict_busy and busy > 0))


def main(args: argparse.Namespace) -> int:
    """Do the missing runs of the sweep; returns 1 where a run failed or a worker was killed.

    Raises:
        ValueError: an option is wrong, --only names no run, or a folder cannot be used.
        Stopped: by a signal; runs that were going on are saved.
    """
    check_choice(args)
    scale = SCALES[args.scale]
    base, data_dir = choose_data(args.data, Machine.data_dir, scale)
    check_batch(base, data_dir)
    base = choose_precision(args.precision, base, args.scale)
    device = choose_device(args.device)
    check_speed(args.precision, base, device)
    machine = Machine(device=device, threads=1, checkpoints=args.checkpoints, data_dir=data_dir)
    folder = args.records / args.scale
    if is_committed(folder):
        raise ValueError(
            f"{args.records} holds the committed records: sweep into another folder, with "
            "--skip-committed, and then python -m reproductions records add FOLDER"
        )
    for needed in (folder, args.checkpoints):
        check_writable(needed)
    check_locks(args.checkpoints)
    seeds = range(args.first_seed, args.first_seed + args.seeds)
    wanted = chosen_jobs(args, base, seeds)
    names = [job.run_id for job in wanted]
    wanted = [
        job._replace(machine=machine, folder=folder) for job in wanted if args.only in job.run_id
    ]
    if not wanted:
        raise ValueError(f"--only {args.only!r} is in no name of {len(names)} runs, as {names[0]}")
    if args.skip_committed:
        committed_names = {record.run_id for record in committed(args.scale).records}
        wanted = [job for job in wanted if job.run_id not in committed_names]
    if other := other_images(args.scale, base):
        print(other)
    print(f"{len(missing(wanted))} of {len(wanted)} runs are missing in {folder}")
    try:
        for status in work_in_parallel(wanted, args.at_once, Lines(len(wanted))):
            print(f"a worker ended with status {status}, before its runs were done")
    except Stopped as stop:
        sentence = f"{len(missing(wanted))} of {len(wanted)} runs have no record in {folder}"
        raise Stopped(stop.number, stop.kept or sentence) from stop
    return closing(wanted, strict_busy=args.strict_busy)
