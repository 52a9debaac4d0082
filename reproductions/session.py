"""A session of the tables: its options checked as a whole before any work starts."""

from __future__ import annotations

import shlex
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
import torch

from eqco.images import SOURCES
from eqco.recipe import Recipe
from eqco.runs.checkpoint import check_free
from eqco.runs.files import check_writable
from eqco.runs.launch import Order, by_slurm, by_torchrun
from eqco.runs.precision import emulation
from eqco.runs.record import Record
from eqco.runs.run import Job
from eqco.settings import NUMERICS, Machine
from reproductions.evidence import EVIDENCE_NUMERICS, RECORDS
from reproductions.judge import Verdict
from reproductions.options import granted_cores
from reproductions.scales import SCALES, Scale
from reproductions.tables import table
from reproductions.tables.cells import Claim, Row, Table


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
    launcher: str = "here"
    processes: int = 1
    launcher_options: tuple[str, ...] = ()
    numerics: int = NUMERICS
    submitted: set[str] = field(default_factory=set)
    statuses: dict[tuple[int, str], str] = field(default_factory=dict)
    verdicts: dict[tuple[int, str], tuple[Claim, Verdict]] = field(default_factory=dict)

    @property
    def evidence(self) -> Path | None:
        """Folder of committed evidence, None where it is the very folder of this session."""
        folder = RECORDS / self.scale
        return None if folder.resolve() == self.folder.resolve() else folder

    def table(self, number: int) -> Table:
        """A table at this session's scale, on its data."""
        return table(number, self.scale, self.base)

    def found(self, row: Row) -> dict[int, Record]:
        """Records of a row by seed."""
        place = (self.folder, row.recipe)
        pairs = ((seed, Record.find(*place, seed, self.numerics)) for seed in self.seeds)
        return {seed: record for seed, record in pairs if record is not None}


def choose_data(option: str, data_dir: Path, scale: Scale) -> tuple[Recipe, Path]:
    """The baseline with the data that --data asks for, and where that data lies.

    Args:
        option: "folder:PATH", "part:PATH", or "" for the scale's own data.
        data_dir: where the scale's own data lies or is downloaded to.
        scale: whose baseline it is.

    Raises:
        ValueError: the scale takes other data, or the folder does not hold it.
    """
    base = scale.base
    if not option:
        if scale.needs_folder:
            raise ValueError("this scale needs --data folder:PATH with train/ and val/ or test/")
        return base, data_dir
    kind, _, path = option.partition(":")
    if kind not in ("folder", "part") or not path:
        raise ValueError(f"--data takes folder:PATH or part:PATH, got {option!r}")
    if base.data == "glyphs":
        raise ValueError("--data goes with --scale photos, cifar10 or imagenet")
    if kind == "part" and not base.from_files:
        raise ValueError("--data part:PATH goes with --scale imagenet, others take folder:PATH")
    source = SOURCES["imagenet" if base.from_files and kind == "folder" else kind]
    assert source.identify
    folder = Path(path).expanduser()
    return replace(base, data=source.identify(folder)), folder


def choose_precision(option: str, base: Recipe, scale: str) -> Recipe:
    """The baseline with the precision that --precision asks for; "auto" leaves it as it is.

    Raises:
        ValueError: bfloat16 at a scale of float32, whose evidence is in float32.
    """
    if option == "bfloat16" and base.precision != option:
        raise ValueError(
            f"--precision bfloat16 goes with --scale cifar10 or imagenet, {scale} is in float32"
        )
    return base if option == "auto" else replace(base, precision=option)


def check_speed(option: str, base: Recipe, device: str) -> None:
    """Raise ValueError where this CPU would emulate bfloat16 and nobody asked for it."""
    slow = emulation(base.precision, device)
    if option == "auto" and slow:
        raise ValueError(
            f"{slow}: use a GPU, give --precision float32 or, to train so nevertheless, "
            "--precision bfloat16"
        )


CLUSTER_WORKERS = 8  # the cores of a cluster's node are not known here


def choose_workers(given: int | None, base: Recipe, processes: int, launcher: str) -> int:
    """Decoding processes for each training process; None shares the cores among them."""
    if not base.from_files:
        return 0
    if given is not None:
        return given
    cores = CLUSTER_WORKERS * processes if launcher == "slurm" else granted_cores()
    return max(1, min(16, cores // processes))


def checkpoint_seconds(base: Recipe) -> float:
    """Seconds between checkpoints; longer for ImageNet, where a checkpoint has 300 MB."""
    return 300.0 if base.from_files else Machine.checkpoint_seconds


def choose_device(text: str, launcher: str) -> str:
    """The device asked for; "auto" is a GPU where this host has one, and always on a cluster.

    Raises:
        ValueError: there is no such device here.
    """
    has_gpu = torch.cuda.is_available() or launcher == "slurm"
    if text == "auto":
        return "cuda" if has_gpu else "cpu"
    if text.startswith("cuda") and not has_gpu:
        raise ValueError(f"--device {text}: torch sees no GPU here, use --device cpu")
    return text


def read_session(config: pytest.Config) -> Session:
    """Check every option before any work starts.

    Raises:
        pytest.UsageError: options contradict each other, or data or a folder cannot be used.
    """
    option = config.getoption
    scale, launcher, processes = option("scale"), option("launcher"), option("processes")
    try:
        options = tuple(shlex.split(option("launcher_options")))
    except ValueError as error:
        raise pytest.UsageError(
            f"--launcher-options cannot be split into words: {error}"
        ) from error
    if launcher == "here" and processes > 1:
        raise pytest.UsageError(f"--processes {processes} needs --launcher torchrun or slurm")
    if launcher == "slurm" and not all("=" in word for word in options):
        raise pytest.UsageError(f"--launcher-options of slurm are NAME=VALUE, got {options}")
    if option("run") == "always" and launcher != "here":
        raise pytest.UsageError("--run always works in this process only: leave --launcher out")
    try:
        base, data_dir = choose_data(option("data"), option("data_dir"), SCALES[scale])
        base = choose_precision(option("precision"), base, scale)
        machine = Machine(
            device=choose_device(option("device"), launcher),
            threads=option("threads"),
            data_dir=data_dir,
            checkpoints=option("checkpoints"),
            checkpoint_seconds=checkpoint_seconds(base),
            workers=choose_workers(option("workers"), base, processes, launcher),
            compile=option("compile"),
        )
        folder = option("records") / scale
        is_evidence = folder.resolve() == (RECORDS / scale).resolve()
        if is_evidence and option("run") != "never":
            raise ValueError(f"{folder} holds the evidence: judge it with --run never")
        if option("run") != "never" and not config.option.collectonly:
            check_speed(option("precision"), base, machine.device)
            for needed in (folder, machine.checkpoints):
                check_writable(needed)
    except ValueError as error:
        raise pytest.UsageError(str(error)) from error
    given = [word for word in config.invocation_params.args if not word.startswith("-q")]
    return Session(
        scale=scale,
        policy=option("run"),
        seeds=range(option("seeds")),
        base=base,
        machine=machine,
        folder=folder,
        command=shlex.join(["pytest", *map(str, given)]),
        launcher=launcher,
        processes=processes,
        launcher_options=options,
        numerics=EVIDENCE_NUMERICS if is_evidence else NUMERICS,
    )


def launched(session: Session, job: Job) -> Record | None:
    """Run a job in other processes: its record, or None where it was submitted to a cluster."""
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
