"""The sweep behind table 1: learning rate x K x loss at the glyphs scale, every cell published.

    python -m reproductions.sweep --workers 2 --records reproductions/records

About 35 s a run and 145 runs on 2 cores. Whatever has a record is left alone; stopping loses at
most the seconds since the last checkpoint, and the same command goes on.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from eqco.recipe import SCALES, Machine, Recipe
from eqco.run import untrained
from eqco.schedule import Job, missing, work_in_parallel
from reproductions.table1 import row, rows

RATES = (0.01, 0.025, 0.06, 0.16, 0.4, 1.0)
SEEDS = (0, 1, 2)


def baseline() -> list[Recipe]:
    """InfoNCE with all negatives, at each rate: what chooses the learning rate of table 1."""
    base = SCALES["glyphs"].base
    return [replace(base, learning_rate=rate) for rate in RATES]


def grid() -> list[Recipe]:
    """Every cell below full K at each rate, small K first."""
    return [
        row(base, loss, num_negatives)
        for num_negatives in (16, 4, 64)
        for base in baseline()
        for loss in ("infonce", "eqco")
    ]


def jobs(table_seeds: int) -> list[Job]:
    """The baseline, then table 1 with its seeds, then the rest of the grid seed by seed."""
    first = [Job(recipe, seed) for seed in SEEDS for recipe in baseline()]
    first += [Job(untrained(SCALES["glyphs"].base), seed) for seed in range(table_seeds)]
    then = [Job(recipe, seed) for seed in SEEDS for recipe in grid()]
    table = list(rows("glyphs").values())
    return first + [Job(recipe, seed) for seed in range(table_seeds) for recipe in table] + then


def main(arguments: Sequence[str] | None = None) -> None:
    """Run what is missing."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else None)
    parser.add_argument("--workers", type=int, default=2, help="processes of one thread each")
    parser.add_argument("--records", type=Path, default=Path("runs/records"), help="folder")
    parser.add_argument("--checkpoints", type=Path, default=Path("runs/checkpoints"))
    parser.add_argument("--table-seeds", type=int, default=5, help="seeds of table 1 itself")
    parser.add_argument("--only", default="", help="only runs whose name holds this text")
    given = parser.parse_args(arguments)
    folder = given.records / "glyphs"
    wanted = [job for job in jobs(given.table_seeds) if given.only in job.run_id]
    print(f"{len(missing(wanted, folder))} of {len(wanted)} runs are missing in {folder}")
    machine = Machine(threads=1, checkpoints=given.checkpoints)
    work_in_parallel(wanted, machine, folder, given.workers)


if __name__ == "__main__":
    main()
