"""Finished records beside the committed ones: `python -m reproductions records check FOLDER`.

    python -m reproductions records check runs/records      what can stand beside the committed ones
    python -m reproductions records add runs/records        puts it there

A record can stand beside them where it is whole, of today's numerics, of a run that the project
wants, on the same images, from a commit without changes. A run has one record.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from eqco.artifacts.record import Record
from eqco.config import NUMERICS
from eqco.recipe import Recipe
from eqco.runtime.files import write_atomically
from reproductions.experiments.grid import jobs
from reproductions.experiments.planned import EXPERIMENTS, experiment_jobs
from reproductions.results.compare import origin_lines
from reproductions.results.evidence import committed
from reproductions.results.records import RECORDS, Records
from reproductions.scales import SCALES

NAMED = 5  # refused records that are named


@dataclass(frozen=True)
class Submission:
    """Records of a scale that are to stand beside the committed ones.

    Attributes:
        scale: a name in `reproductions.scales.SCALES`.
        records: where they are.
        new: those that can be added.
        equal: runs whose committed records have the same metrics.
        refused: a sentence on each of the others.
    """

    scale: str
    records: Records
    new: list[Record] = field(default_factory=list)
    equal: list[Record] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)

    def lines(self) -> list[str]:
        """What becomes of the records, and how they were made otherwise than the committed ones."""
        known, own = committed(self.scale).records, [*self.new, *self.equal]
        counts = f"{len(self.new)} new, {len(self.equal)} committed already with the same metrics"
        left = len(self.refused) - NAMED
        origins = origin_lines(known, own) if known and own else []
        return [
            f"{self.scale}: {self.records.place}: {counts}, {len(self.refused)} refused",
            *(f"  refused: {sentence}" for sentence in self.refused[:NAMED]),
            *([f"  refused: {left} more"] if left > 0 else []),
            *(["  made differently (committed | these):"] if origins else []),
            *(f"  {line}" for line in origins),
        ]


def wanted_runs(scale: str, data: str, seeds: Sequence[int]) -> set[str]:
    """Names of the runs that the project wants of a scale on a data set."""
    base: Recipe = replace(SCALES[scale].base, data=data)
    planned = [name for name, each in EXPERIMENTS.items() if each.scale == scale]
    found = [*jobs(SCALES[scale], base, seeds), *experiment_jobs(planned, base)]
    return {job.run_id for job in found}


def origin_faults(record: Record, others: Iterable[Record]) -> list[str]:
    """Why a record cannot stand beside others, by where it comes from."""
    found = []
    if record.numerics != NUMERICS:
        found.append(f"it is of numerics {record.numerics}, today's are {NUMERICS}")
    if record.machine.get("commit") is None or record.machine.get("dirty") is not False:
        found.append("it was not made from a commit without changes")
    prints = sorted({each.data_fingerprint for each in others})
    if prints and record.data_fingerprint not in prints:
        found.append(
            f"its images have fingerprint {record.data_fingerprint or 'none'}, those of the other "
            f"records {' or '.join(prints)}"
        )
    return found


def percentages(record: Record) -> str:
    """`linear 81.20, knn 80.10`."""
    return ", ".join(f"{name} {value:.2f}" for name, value in record.metrics.items())


def submission(scale: str, records: Records) -> Submission:
    """What becomes of the records of a scale."""
    damaged: list[str] = []
    found, others = records.every(damaged), committed(scale).records
    known = {record.run_id: record for record in others}
    made = Submission(scale, records, refused=damaged)
    seeds = sorted({record.seed for record in found})
    wanted = {
        name
        for data in {record.recipe.data for record in found}
        for name in wanted_runs(scale, data, seeds)
    }
    for record in found:
        name, faults = record.run_id, origin_faults(record, others or found[:1])
        if name in known and known[name].metrics == record.metrics:
            made.equal.append(record)
            continue
        if name in known:
            both = " | ".join(map(percentages, (known[name], record)))
            faults.append(f"it is committed with other metrics ({both})")
        elif name not in wanted:
            faults.append(f"no table, sweep or experiment of scale {scale} has it")
        if faults:
            made.refused.append(f"{name}: {'; '.join(faults)}")
        else:
            made.new.append(record)
    return made


def places(folder: Path) -> dict[str, Records]:
    """The records in a folder by scale; it may be that of one scale, or hold one for each.

    Raises:
        ValueError: it has no record of a scale.
    """
    own = Records(folder)
    if own.folder.name in SCALES and own:
        return {own.folder.name: own}
    found = {name: Records(folder / name) for name in SCALES}
    if not any(found.values()):
        raise ValueError(
            f"{folder} holds no record of a scale: name a folder such as runs/records, or "
            "runs/records/glyphs"
        )
    return {name: records for name, records in found.items() if records}


def main(given: argparse.Namespace) -> int:
    """Say which records can stand beside the committed ones, or put them there, all or none.

    Returns:
        1 where one of them cannot.

    Raises:
        ValueError: there is no record.
    """
    found = []
    for scale, records in places(given.folder).items():
        if SCALES[scale].evidence:
            found.append(submission(scale, records))
            print("\n".join(found[-1].lines()))
        else:
            print(f"{scale}: left out: no claim is judged at this scale")
    refused = any(each.refused for each in found)
    if refused and given.action == "add":
        print("nothing was added: move the refused records away, or leave them out")
    for each in found if given.action == "add" and not refused else ():
        if each.new:
            kept = Records(RECORDS / each.scale)
            new = {record.run_id for record in each.new}
            own = {name: line for name, line in each.records.written().items() if name in new}
            lines = kept.written() | own
            write_atomically(kept.file, "".join(f"{lines[name]}\n" for name in sorted(lines)))
            print(f"{kept.file}: {len(own)} added, {len(lines)} records in all")
    return int(refused)
