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
        others, accepted = committed(self.scale).records, [*self.new, *self.equal]
        counts = f"{len(self.new)} new, {len(self.equal)} committed already with the same metrics"
        unnamed = len(self.refused) - NAMED
        origins = origin_lines(others, accepted) if others and accepted else []
        return [
            f"{self.scale}: {self.records.place}: {counts}, {len(self.refused)} refused",
            *(f"  refused: {sentence}" for sentence in self.refused[:NAMED]),
            *([f"  refused: {unnamed} more"] if unnamed > 0 else []),
            *(["  made differently (committed | these):"] if origins else []),
            *(f"  {line}" for line in origins),
        ]

    def add(self) -> None:
        """Write the new records among the committed ones."""
        target, names = Records(RECORDS / self.scale), {record.run_id for record in self.new}
        added = {name: line for name, line in self.records.written().items() if name in names}
        lines = target.written() | added
        write_atomically(target.file, "".join(f"{lines[name]}\n" for name in sorted(lines)))
        print(f"{target.file}: {len(added)} added, {len(lines)} records in all")


def wanted_runs(scale: str, data: str, seeds: Sequence[int]) -> set[str]:
    """Names of the runs that the project wants of a scale on a data set."""
    base: Recipe = replace(SCALES[scale].base, data=data)
    planned = [name for name, experiment in EXPERIMENTS.items() if experiment.scale == scale]
    runs = [*jobs(SCALES[scale], base, seeds), *experiment_jobs(planned, base)]
    return {job.run_id for job in runs}


def origin_faults(record: Record, others: Iterable[Record]) -> list[str]:
    """Reasons in a record's origin why it cannot be added to others."""
    faults = []
    if record.numerics != NUMERICS:
        faults.append(f"it is of numerics {record.numerics}, today's are {NUMERICS}")
    if record.machine.get("commit") is None or record.machine.get("dirty") is not False:
        faults.append("it was not made from a commit without changes")
    fingerprints = sorted({other.data_fingerprint for other in others})
    if fingerprints and record.data_fingerprint not in fingerprints:
        faults.append(
            f"its images have fingerprint {record.data_fingerprint or 'none'}, those of the other "
            f"records {' or '.join(fingerprints)}"
        )
    return faults


def percentages(record: Record) -> str:
    """`linear 81.20, knn 80.10`."""
    return ", ".join(f"{name} {value:.2f}" for name, value in record.metrics.items())


def submission(scale: str, records: Records) -> Submission:
    """What becomes of the records of a scale."""
    damaged: list[str] = []
    candidates, others = records.all_numerics(damaged), committed(scale).records
    committed_runs = {record.run_id: record for record in others}
    result = Submission(scale, records, refused=damaged)
    seeds = sorted({record.seed for record in candidates})
    wanted = {
        name
        for data in {record.recipe.data for record in candidates}
        for name in wanted_runs(scale, data, seeds)
    }
    for record in candidates:
        name, faults = record.run_id, origin_faults(record, others or candidates[:1])
        if name in committed_runs and committed_runs[name].metrics == record.metrics:
            result.equal.append(record)
            continue
        if name in committed_runs:
            metrics = " | ".join(map(percentages, (committed_runs[name], record)))
            faults.append(f"it is committed with other metrics ({metrics})")
        elif name not in wanted:
            faults.append(f"no table, sweep or experiment of scale {scale} has it")
        if faults:
            result.refused.append(f"{name}: {'; '.join(faults)}")
        else:
            result.new.append(record)
    return result


def places(folder: Path) -> dict[str, Records]:
    """The records in a folder by scale; it may be that of one scale, or hold one for each.

    Raises:
        ValueError: it has no record of a scale.
    """
    records = Records(folder)
    if records.folder.name in SCALES and records:
        return {records.folder.name: records}
    by_scale = {name: Records(folder / name) for name in SCALES}
    by_scale = {name: records for name, records in by_scale.items() if records}
    if not by_scale:
        raise ValueError(
            f"{folder} holds no record of a scale: name a folder such as runs/records, or "
            "runs/records/glyphs"
        )
    return by_scale


def main(args: argparse.Namespace) -> int:
    """Say which records can stand beside the committed ones, or put them there, all or none.

    Returns:
        1 where one of them cannot.

    Raises:
        ValueError: there is no record.
    """
    submissions = []
    for scale, records in places(args.folder).items():
        if SCALES[scale].evidence:
            submissions.append(submission(scale, records))
            print("\n".join(submissions[-1].lines()))
        else:
            print(f"{scale}: left out: no claim is judged at this scale")
    refused = any(entry.refused for entry in submissions)
    if args.action == "add" and refused:
        print("nothing was added: move the refused records away, or leave them out")
    elif args.action == "add":
        for entry in submissions:
            if entry.new:
                entry.add()
    return int(refused)
