"""A run and its files: checkpoints, lock and holder, record, job file; one process per run."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import asdict, fields, replace
from pathlib import Path
from typing import Any, NamedTuple

from filelock import FileLock, Timeout

from eqco.artifacts.checkpoint import earlier, unfinished
from eqco.artifacts.record import Record, record_path
from eqco.config import Machine
from eqco.recipe import Recipe
from eqco.runtime.distributed import rank
from eqco.runtime.files import (
    check_locks,
    check_regular,
    check_writable,
    read_json,
    remove,
    remove_temporary,
    write_atomically,
)
from eqco.runtime.signals import Stopped
from eqco.runtime.text import plain
from eqco.runtime.validation import SEED, Kind, Table, TrainingError, check_folder, sentence

SESSION = "EQCO_SESSION"  # environment: what processes of one session have in common
JOB = ".job.json"


class Busy(TrainingError):
    """Another process is training this run."""


def whole_table(dataclass: type[Any]) -> Table:
    """A table with each field of a dataclass."""
    names = [field.name for field in fields(dataclass)]
    return Table(dict.fromkeys(names, object), needed=names)


JOB_FIELDS: dict[str, Kind] = {
    "recipe": whole_table(Recipe), "seed": SEED, "machine": whole_table(Machine), "folder": str,
}  # fmt: skip


class Run(NamedTuple):
    """A recipe and a seed, where they are run, and the folder of the record."""

    recipe: Recipe
    seed: int
    machine: Machine = Machine()
    folder: Path = Path("runs/records")

    @property
    def run_id(self) -> str:
        return self.recipe.run_id(self.seed)

    def beside(self, ending: str) -> Path:
        """A file of the run in the folder of its checkpoints."""
        return self.machine.checkpoints / f"{self.run_id}{ending}"

    @property
    def checkpoint(self) -> Path:
        """The checkpoint of its training, also after it."""
        return self.beside(".pt")

    @property
    def probe_checkpoint(self) -> Path:
        """The checkpoint of its probe."""
        return self.beside(".probe.pt")

    @property
    def lock(self) -> Path:
        """The file that one process locks."""
        return self.beside(".lock")

    @property
    def record_file(self) -> Path:
        """The file of its record."""
        return record_path(self.folder, self.recipe, self.seed)

    def record(self) -> Record | None:
        """Its record; None where there is none.

        Raises:
            RecordError: the file cannot be trusted.
        """
        return Record.find(self.folder, self.recipe, self.seed)

    @property
    def has_checkpoint(self) -> bool:
        """Whether there is a checkpoint, or the one before it."""
        return self.checkpoint.exists() or earlier(self.checkpoint).exists()

    def kept(self) -> str:
        """What is on the disk of a run that was stopped, in words."""
        if self.record_file.exists():
            return f"{self.run_id} is done and has its record"
        if self.has_checkpoint:
            return f"the checkpoint of {self.run_id} is kept"
        return f"{self.run_id} has no checkpoint yet and starts over"

    @property
    def checkpoints(self) -> tuple[Path, ...]:
        """All checkpoints, those before the last ones too; they need not be there."""
        last = (self.checkpoint, self.probe_checkpoint)
        return (*last, *map(earlier, last))

    def forget(self) -> None:
        """Delete the checkpoints, before a training anew."""
        for path in self.checkpoints:
            path.unlink(missing_ok=True)

    @contextmanager
    def hold(self, *, again: bool = False) -> Iterator[None]:
        """Lock the run against other processes; the lock of a killed process is free.

        A file beside the lock names the session of the holder. What a killed process left of
        writing this run's files is removed, with `again` the checkpoints too. A signal that stops
        the run says what is kept.

        Raises:
            Busy: another process holds the run.
            TrainingError: the disk has no file locks, or refuses this one; a name that is the
                lock's or the holder's is a link, a pipe or somebody's file.
            Stopped: by a signal.
        """
        try:
            with self.locked() if rank() == 0 else nullcontext():  # the first one's is of all
                if again and rank() == 0:
                    self.forget()
                yield
        except Stopped as stop:
            raise Stopped(stop.number, stop.kept or self.kept()) from stop

    @contextmanager
    def locked(self) -> Iterator[None]:
        """`hold` of one process."""
        self.lock.parent.mkdir(parents=True, exist_ok=True)
        lock, holder = FileLock(self.lock, timeout=0), self.beside(".holder")
        try:
            check_regular(holder)
            check_regular(self.lock, empty=True)
            lock.acquire()
        except (Timeout, OSError, NotImplementedError) as error:
            raise self.refused(error) from error
        try:
            remove_temporary(unfinished(self.checkpoint), unfinished(self.probe_checkpoint))
            remove_temporary(self.record_file)
            with suppress(OSError):  # of use to readers, not to this run
                write_atomically(holder, os.environ.get(SESSION) or "none")
            yield
        finally:
            remove(holder)
            lock.release()

    def refused(self, error: Exception) -> TrainingError:
        """The error of a lock that was not granted: Busy only where another process holds it."""
        try:
            check_locks(self.lock.parent)
        except ValueError as no_locks:
            return TrainingError(no_locks)
        if type(error) is not Timeout:
            return TrainingError(f"{self.run_id} cannot be locked ({sentence(error)})")
        return Busy(f"{self.run_id} is being run by another process: wait for it, or stop it")

    def check_free(self) -> None:
        """Raise Busy where another process holds the run."""
        with self.hold():
            return

    def holder(self) -> str:
        """Session of the process that holds the run, "none" where it has none; "" if unknown."""
        holder = self.beside(".holder")
        try:
            check_regular(holder)
            return holder.read_text("utf-8")
        except (OSError, ValueError):  # none, or not ours
            return ""

    def absolute(self) -> Run:
        """The same run with paths that do not depend on the current folder."""
        machine = self.machine
        data, checkpoints = machine.data_dir.resolve(), machine.checkpoints.resolve()
        machine = replace(machine, data_dir=data, checkpoints=checkpoints)
        return self._replace(machine=machine, folder=self.folder.resolve())

    def write_job(self) -> Path:
        """Write what another process needs to do the run, with absolute paths; returns the file."""
        check_writable(self.machine.checkpoints)
        run = self.absolute()
        parts = {"recipe": asdict(run.recipe), "machine": asdict(run.machine)}
        text = json.dumps(run._asdict() | parts, indent=1, default=str)
        write_atomically(run.beside(JOB), text + "\n")
        return run.beside(JOB)

    @classmethod
    def read_job(cls, path: Path) -> Run:
        """The run of a job file.

        Raises:
            ValueError: the file is missing or is not a job file.
        """
        try:
            body = read_json(path)
            Table(JOB_FIELDS, needed=JOB_FIELDS).check("", body)
            recipe, machine = Recipe.of(body["recipe"]), Machine(**body["machine"])
            return cls(recipe, body["seed"], machine, check_folder("folder", body["folder"]))
        except OSError as error:
            raise ValueError(f"job file {path} cannot be opened: {error.strerror}") from error
        except ValueError as error:
            raise ValueError(plain(f"{path} is no job file ({error}): write it anew")) from error
