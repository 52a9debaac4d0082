"""What the options of the tables say: checked as a whole before any work starts."""

from __future__ import annotations

import os
import shlex
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import torch

from eqco import record as records
from eqco.checkpoint import check_free
from eqco.judge import Verdict
from eqco.launch import LAUNCHERS, Order, by_slurm, by_torchrun
from eqco.recipe import SCALES, Machine, Recipe, check_name
from eqco.schedule import Job
from reproductions import table1, table2, table3, table4, table5, table6
from reproductions.tables import Claim, Rows, data_of

EVIDENCE = Path(__file__).parent / "records"
TABLES = dict(enumerate((table1, table2, table3, table4, table5, table6), start=1))


@dataclass
class Session:
    """What the options say, and what has been judged so far."""

    scale: str
    policy: str
    seeds: range
    base: Recipe
    machine: Machine
    folder: Path
    command: str
    launcher: str = "here"
    processes: int = 1
    launcher_options: tuple[str, ...] = ()
    submitted: set[str] = field(default_factory=set)
    statuses: dict[tuple[int, str], str] = field(default_factory=dict)
    verdicts: dict[tuple[int, str], Verdict] = field(default_factory=dict)

    @property
    def evidence(self) -> Path | None:
        """Folder of committed evidence, None where it is the very folder of this session."""
        folder = EVIDENCE / self.scale
        return None if folder.resolve() == self.folder.resolve() else folder

    def rows(self, table: int) -> Rows:
        """The rows of a table."""
        return TABLES[table].rows(self.scale, self.base)

    def claims(self, table: int) -> dict[str, Claim]:
        """The claims of a table."""
        return TABLES[table].claims(self.scale, self.base)

    def found(self, table: int, row: str) -> dict[int, records.Record]:
        """Records of a row by seed."""
        recipe = self.rows(table)[row]
        pairs = ((seed, records.find(self.folder, recipe, seed)) for seed in self.seeds)
        return {seed: record for seed, record in pairs if record is not None}


def whole(name: str, text: str) -> int:
    """An option that must be a whole number above zero."""
    if not text.isdigit() or int(text) < 1:
        raise pytest.UsageError(f"--{name} must be a whole number above 0, got {text!r}")
    return int(text)


def checkpoint_seconds(base: Recipe) -> float:
    """A ResNet-50 with its momentum and key encoder is 300 MB, too much for every 20 seconds."""
    return 300.0 if base.from_files else Machine.checkpoint_seconds


CLUSTER_WORKERS = 8  # this host's cores say nothing of a node's


def workers_of(text: str, base: Recipe, processes: int, launcher: str) -> int:
    """Processes that decode for each process that trains; "auto" shares the cores among them."""
    if text != "auto":
        return whole("workers", text) if text != "0" else 0
    if not base.from_files:
        return 0
    cores = CLUSTER_WORKERS * processes if launcher == "slurm" else os.cpu_count() or 1
    return max(1, min(16, cores // processes))


def device_of(text: str, launcher: str) -> str:
    """The device asked for; "auto" is a GPU where this host has one, or where a cluster runs it."""
    has_gpu = torch.cuda.is_available() or launcher == "slurm"
    if text == "auto":
        return "cuda" if has_gpu else "cpu"
    if text.startswith("cuda") and not has_gpu:
        raise pytest.UsageError(f"--device {text}: torch sees no GPU here, use --device cpu")
    return text


def session_of(config: pytest.Config) -> Session:
    """Check every option before any work starts."""
    option = config.getoption
    try:
        check_name("scale", option("scale"), list(SCALES))
        check_name("launcher", option("launcher"), LAUNCHERS)
        check_name("--run policy", option("run"), ["missing", "always", "never"])
        base, data_dir = data_of(option("data"), option("data_dir"), SCALES[option("scale")].base)
    except ValueError as error:
        raise pytest.UsageError(str(error)) from error
    processes, launcher = whole("processes", option("processes")), option("launcher")
    machine = Machine(
        device=device_of(option("device"), launcher),
        threads=whole("threads", option("threads")),
        data_dir=data_dir,
        checkpoints=Path(option("checkpoints")),
        checkpoint_seconds=checkpoint_seconds(base),
        workers=workers_of(option("workers"), base, processes, launcher),
        compile=option("compile"),
    )
    if launcher == "here" and processes > 1:
        raise pytest.UsageError(f"--processes {processes} needs --launcher torchrun or slurm")
    options = tuple(shlex.split(option("launcher_options")))
    if launcher == "slurm" and not all("=" in word for word in options):
        raise pytest.UsageError(f"--launcher-options of slurm are NAME=VALUE, got {options}")
    if option("run") == "always" and launcher != "here":
        raise pytest.UsageError("--run always works in this process only: leave --launcher out")
    seeds = range(whole("seeds", option("seeds")))
    folder = Path(option("records")) / option("scale")
    if option("run") != "never" and not config.option.collectonly:
        try:
            for needed in (folder, machine.checkpoints):
                records.check_writable(needed)
        except ValueError as error:
            raise pytest.UsageError(str(error)) from error
    given = [word for word in config.invocation_params.args if not word.startswith("-q")]
    return Session(
        scale=option("scale"),
        policy=option("run"),
        seeds=seeds,
        base=base,
        machine=machine,
        folder=folder,
        command=" ".join(["pytest", *map(str, given)]),
        launcher=launcher,
        processes=processes,
        launcher_options=options,
    )


def launched(session: Session, job: Job) -> records.Record | None:
    """The record of a run that other processes do; None where it was only submitted."""
    order = Order(job, session.machine, session.folder)
    if job.run_id in session.submitted:  # a row that tables share
        return None
    check_free(job.recipe, job.seed, session.machine)
    if session.launcher == "torchrun":
        return by_torchrun(order, session.processes, session.launcher_options)
    given = (word.split("=", 1) for word in session.launcher_options)
    parameters: dict[str, Any] = {n: int(v) if v.isdigit() else v for n, v in given}
    logs = session.machine.checkpoints / "slurm"
    by_slurm(order, session.processes, logs, **parameters)
    session.submitted.add(job.run_id)
    return None
