"""The runs behind every table at the glyphs scale, and the sweep learning rate x K x loss.

    python -m reproductions.sweep --workers 2 --records reproductions/records

About 80 s a run and 329 runs on 2 cores, two at a time. Whatever has a record is left alone;
stopping loses at most the seconds since the last checkpoint, and the same command goes on.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from eqco.recipe import SCALES, Machine, Recipe
from eqco.run import untrained
from eqco.schedule import Job, missing, work_in_parallel
from reproductions import table1, table2, table3, table4, table5, table6
from reproductions.tables import baseline as table_baseline
from reproductions.tables import row

RATES = (0.01, 0.025, 0.06, 0.16, 0.4, 1.0)
METHOD_RATES = (0.06, 0.16, 0.4)
SEEDS = (0, 1, 2)


def baseline() -> list[Recipe]:
    """InfoNCE with all negatives, at each rate: what chooses the learning rate of table 1."""
    base = SCALES["glyphs"].base
    return [replace(base, learning_rate=rate) for rate in RATES]


def grid() -> list[Recipe]:
    """Every cell besides the baseline at each rate, small K first."""
    cells = [(16, "infonce"), (16, "eqco"), (4, "infonce"), (4, "eqco"), (64, "infonce")]
    cells += [(64, "eqco"), (255, "eqco")]
    return [row(base, loss, k) for k, loss in cells for base in baseline()]


def method_baselines() -> list[Recipe]:
    """Full-K InfoNCE of MoCo v2 and SimCLR at each rate: what chooses theirs."""
    return [
        replace(table_baseline("glyphs", method), learning_rate=rate)
        for method in ("moco", "simclr")
        for rate in METHOD_RATES
    ]


def jobs(table_seeds: int) -> list[Job]:
    """Baselines, tables with their seeds, then the grid seed by seed."""
    first = [Job(recipe, seed) for seed in SEEDS for recipe in baseline()]
    first += [Job(recipe, 0) for recipe in method_baselines()]
    first += [Job(untrained(SCALES["glyphs"].base), seed) for seed in range(table_seeds)]
    first += [
        Job(recipe, s) for s in range(table_seeds) for recipe in table1.rows("glyphs").values()
    ]
    tables = (table2, table3, table4, table5, table6)
    first += [
        Job(recipe, seed)
        for seed in range(table_seeds)
        for table in tables
        for recipe in table.rows("glyphs").values()
    ]
    found = first + [Job(recipe, seed) for seed in SEEDS for recipe in grid()]
    return list({job.run_id: job for job in found}.values())


def main(arguments: Sequence[str] | None = None) -> None:
    """Run what is missing."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else None)
    parser.add_argument("--workers", type=int, default=2, help="processes of one thread each")
    parser.add_argument("--records", type=Path, default=Path("runs/records"), help="folder")
    parser.add_argument("--checkpoints", type=Path, default=Path("runs/checkpoints"))
    parser.add_argument("--table-seeds", type=int, default=5, help="seeds of the tables")
    parser.add_argument("--only", default="", help="only runs whose name holds this text")
    given = parser.parse_args(arguments)
    folder = given.records / "glyphs"
    wanted = [job for job in jobs(given.table_seeds) if given.only in job.run_id]
    print(f"{len(missing(wanted, folder))} of {len(wanted)} runs are missing in {folder}")
    machine = Machine(threads=1, checkpoints=given.checkpoints)
    work_in_parallel(wanted, machine, folder, given.workers)


if __name__ == "__main__":
    main()
