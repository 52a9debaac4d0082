"""A session of the tables: its options, checked before any work starts, and its outcomes."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import pytest

from eqco.artifacts.run_files import Run
from eqco.cli.errors import USER_ERRORS
from eqco.config import Machine
from eqco.engine.launchers import choose_device
from eqco.recipe import Recipe
from eqco.runtime.cpu import default_threads, granted_cores
from eqco.runtime.files import check_locks, check_writable
from eqco.runtime.text import plain
from eqco.runtime.validation import sentence
from reproductions.experiments.resolve import (
    check_batch,
    check_launcher,
    check_speed,
    choose_data,
    choose_precision,
    choose_workers,
)
from reproductions.harness.options import OTHER_DEST
from reproductions.results import evidence
from reproductions.results.evidence import Evidence, user_baseline
from reproductions.results.records import Records, is_committed
from reproductions.scales import SCALES
from reproductions.tables import TABLES, table
from reproductions.tables.base import Table


@dataclass
class Session:
    """Options of a pytest session, and its results so far."""

    scale: str
    policy: str
    seeds: range
    base: Recipe
    machine: Machine
    folder: Path
    command: str
    jobs: int = 1  # runs at once
    launcher: str = "here"
    processes: int = 1
    launcher_options: tuple[str, ...] = ()
    write_jobs: bool = False
    job_files: list[Path] = field(default_factory=list)
    submitted: set[str] = field(default_factory=set)
    statuses: dict[tuple[int, str], str] = field(default_factory=dict)
    claims: list[tuple[int, str]] = field(default_factory=list)  # those selected
    strict_busy: bool = False
    busy: set[str] = field(default_factory=set)  # runs that another process holds
    fresh: set[str] = field(default_factory=set)  # runs made by this session, several at once
    failed: dict[str, str] = field(default_factory=dict)  # of these, with their errors
    judged: dict[int, Evidence] = field(default_factory=dict)  # own records, by table

    @cached_property
    def records(self) -> Records:
        return Records(self.folder)

    def run(self, recipe: Recipe, seed: int) -> Run:
        return Run(recipe, seed, self.machine, self.folder)

    @property
    def has_own_records(self) -> bool:
        """Whether the records of this session are other than the committed ones."""
        return not is_committed(self.folder)

    def table(self, number: int) -> Table:
        """A table at this session's scale, on its data."""
        return table(number, self.scale, self.base)

    def seeds_to_judge(self, recipe: Recipe, baseline: Recipe) -> list[int]:
        """All seeds where runs may be made; with --run never those that both recipes have.

        Raises:
            RecordError: with --run never, a record cannot be trusted.
        """
        if self.policy != "never":
            return list(self.seeds)
        find = self.records.find
        return [s for s in self.seeds if all([find(recipe, s), find(baseline, s)])]

    def own_evidence(self, number: int) -> Evidence:
        """This session's records of a table; of all rows, since intervals are simultaneous."""
        if number not in self.judged:
            find, rows = self.records.find, self.table(number).rows
            runs = [find(row.recipe, seed) for row in rows for seed in self.seeds]
            records = tuple(record for record in runs if record)
            planned = len(self.seeds) if self.has_own_records else None
            self.judged[number] = Evidence(self.scale, records, other=self.base, planned=planned)
        return self.judged[number]

    @cached_property
    def committed(self) -> Evidence:
        """The committed evidence on this session's tables; empty where it is judged here."""
        records = evidence.committed(self.scale).records if self.has_own_records else ()
        return Evidence(self.scale, records, other=self.base)


class Outcomes:
    """Plugin that keeps what test reports say; reports also come from processes of xdist."""

    def __init__(self, session: Session) -> None:
        self.session = session

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Keep the status of each cell, the claims judged, and the runs not waited for."""
        called = report.when == "call"
        properties: list[tuple[str, Any]] = report.user_properties
        for name, value in properties:
            if name == "row" and (called or report.outcome != "passed"):
                number, row = value
                status = {"skipped": "not run"}.get(report.outcome, report.outcome)
                self.session.statuses[number, row] = status
                self.session.judged.pop(number, None)  # before its records were there
            elif name == "claim" and called:
                self.session.claims.append(tuple(value))
            elif name == "busy" and called:
                self.session.busy.add(str(value))


def read_session(config: pytest.Config) -> Session:
    """Check every option before any work starts.

    Raises:
        pytest.UsageError: options contradict each other, or data or a folder cannot be used.
    """
    try:
        return checked_session(config)
    except USER_ERRORS as error:
        raise pytest.UsageError(plain(sentence(error))) from error


def own_option(config: pytest.Config, name: str) -> Any:
    """An option of the tables, under its other name where another plugin has its own."""
    other = OTHER_DEST.format(name)
    return vars(config.option)[other] if other in vars(config.option) else config.getoption(name)


def choose_machine(option: Callable[[str], Any], base: Recipe, data_dir: Path) -> Machine:
    """Where and how runs are made.

    Raises:
        ValueError: the device is not here.
    """
    launcher = option("launcher")
    if launcher == "slurm" and "cluster=local" in option("launcher_options").split():
        launcher = "torchrun"  # submitit's local executor: jobs of a cluster tried on this machine
    return Machine(
        device=choose_device(option("device"), launcher),
        threads=option("threads") or default_threads(),
        data_dir=data_dir,
        checkpoints=option("checkpoints"),
        # a checkpoint of ImageNet has 300 MB
        checkpoint_seconds=300.0 if base.from_files else Machine.checkpoint_seconds,
        workers=choose_workers(option("workers"), base, option("processes"), launcher),
        compile=option("compile"),
    )


def default_jobs(option: Callable[[str], Any], machine: Machine) -> int:
    """Runs at once: one for each core, two at least; one where a run is short, or has a GPU."""
    alone = option("launcher") != "here" or machine.device != "cpu"
    return 1 if alone or option("scale") == "smoke" else max(2, granted_cores())


def checked_session(config: pytest.Config) -> Session:
    """The session that the options ask for.

    Raises:
        ValueError: options contradict each other, or data or a folder cannot be used.
    """
    option = partial(own_option, config)
    scale = SCALES[option("scale")]
    launcher_options = check_launcher(option)
    never, listing = option("run") == "never", bool(config.option.collectonly)
    folder = option("records") / option("scale")
    if scale.needs_folder and not option("data") and (never or listing):
        records, data_dir = Records(folder), option("data_dir")
        base = user_baseline(scale, records.all(), records.place)
    else:
        base, data_dir = choose_data(option("data"), option("data_dir"), scale)
    base = choose_precision(option("precision"), base, option("scale"))
    machine = choose_machine(option, base, data_dir)
    jobs = option("jobs") or default_jobs(option, machine)
    if jobs > 1 and not option("threads"):
        machine = replace(machine, threads=1)
    words = [word for word in config.invocation_params.args if not word.startswith("-q")]
    session = Session(
        scale=option("scale"),
        policy=option("run"),
        seeds=range(option("seeds")),
        base=base,
        machine=machine,
        jobs=jobs,
        folder=folder,
        command=shlex.join(["pytest", *map(str, words)]),
        launcher=option("launcher"),
        processes=option("processes"),
        launcher_options=launcher_options,
        write_jobs=option("write_jobs"),
        strict_busy=option("strict_busy"),
    )
    if not session.has_own_records and not never:
        raise ValueError(f"{folder} holds the evidence: judge it with --run never")
    if not listing and not never:
        check_speed(option("precision"), base, machine.device)
        check_batch(base, data_dir)
    if not listing:
        check_folders(session)
    return session


def check_folders(session: Session) -> None:
    """Check that folders can be written, or that there are records where no run is made.

    Raises:
        ValueError: a folder cannot be written, or no row of any table has a record.
    """
    if session.policy != "never":
        for needed in (session.folder, session.machine.checkpoints):
            check_writable(needed)
        check_locks(session.machine.checkpoints)
    elif session.has_own_records:  # that of committed ones is still to come
        rows = [row for number in TABLES for row in session.table(number).rows]
        pairs = ((row.recipe, seed) for row in rows for seed in session.seeds)
        if not any(session.records.has(*pair) for pair in pairs):
            raise ValueError(
                f"--run never: {session.folder} has no record of a table's row, seeds 0 to "
                f"{len(session.seeds) - 1}: leave --run never out to train, or name another "
                "--records"
            )
