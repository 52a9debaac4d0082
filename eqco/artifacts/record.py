"""Records: what was run, where, with what result. One JSON file a run."""

from __future__ import annotations

import hashlib
import json
import os
import platform
import subprocess
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Self

import torch

from eqco.artifacts.record_schema import check_body
from eqco.config import NUMERICS, Machine
from eqco.recipe import Recipe
from eqco.runtime.cpu import granted_cores
from eqco.runtime.distributed import world_size
from eqco.runtime.files import read_json, write_atomically
from eqco.runtime.listing import json_files
from eqco.runtime.text import plain, plain_texts

LIBRARIES = ("torch", "torchvision", "numpy", "matplotlib", "pillow")


class RecordError(ValueError):
    """A record cannot be trusted: truncated, edited, or of another recipe.

    Its sentence may quote the file, so that it is made plain.
    """

    def __init__(self, sentence: str) -> None:
        super().__init__(plain(sentence))


def checksum(body: dict[str, Any]) -> str:
    """SHA-256 of a record's JSON without its own `checksum`, canonical layout."""
    body = {name: value for name, value in body.items() if name != "checksum"}
    text = json.dumps(body, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()


def now() -> str:
    """UTC, ISO 8601, whole seconds."""
    return datetime.now(UTC).isoformat(timespec="seconds")


PACKAGE = Path(__file__).parents[1]
# Where another repository than that of the package may be named, as in a hook of git.
OF_GIT = ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_COMMON_DIR", "GIT_PREFIX")


def git(*arguments: str) -> str | None:
    """Output of git in the package's folder; None where it gives no answer."""
    own = {name: value for name, value in os.environ.items() if name not in OF_GIT}
    try:
        done = subprocess.run(
            ["git", *arguments], cwd=PACKAGE, env=own, capture_output=True, timeout=10, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.decode(errors="replace").strip()


def commit() -> str | None:
    """The commit that this package is of; None where git does not track its files.

    A copy may lie inside another repository, whose commit says nothing about it.
    """
    if git("ls-files", "--error-unmatch", "--", "__init__.py") is None:
        return None
    return git("rev-parse", "HEAD")


def dirty() -> bool | None:
    """Whether the package's files differ from their commit; None where git does not tell."""
    if commit() is None:
        return None
    changed = git("status", "--porcelain", "--untracked-files=no", "--", "*.py")
    return None if changed is None else bool(changed)


def installed(name: str) -> str:
    """Version of an installed distribution, or "none"."""
    try:
        return version(name)
    except PackageNotFoundError:
        return "none"


def processor() -> str:
    """The processor's name, as far as the system tells."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def provenance(machine: Machine) -> dict[str, Any]:
    """Device, threads, versions and commit of this process; what is unknown is None."""
    cuda = machine.device.startswith("cuda")
    return {
        "device": torch.cuda.get_device_name() if cuda else processor(),
        "device_type": machine.device.split(":")[0],
        "threads": machine.threads,
        "workers": machine.workers,
        "compile": machine.compile,
        "processes": world_size(),
        "cores": granted_cores(),
        "python": platform.python_version(),
        "system": platform.system(),
        "versions": {name: installed(name) for name in LIBRARIES},
        "commit": commit(),
        "dirty": dirty(),
    }


def refuse_constant(name: str) -> None:
    """Raise ValueError for NaN and Infinity, which no record holds."""
    raise ValueError(f"it holds {name}")


def record_path(folder: Path, recipe: Recipe, seed: int, numerics: int | None = None) -> Path:
    """Path of the record of a run, under today's NUMERICS or older ones."""
    return folder / f"{recipe.run_id(seed, numerics)}.json"


@dataclass(frozen=True)
class Record:
    """A finished run.

    Attributes:
        recipe, seed: what was run.
        numerics: `eqco.config.NUMERICS` of that time.
        machine: device, threads, versions, commit; see `provenance`.
        started, ended: UTC.
        metrics: accuracies on the held-out part, percent.
        diagnostics: CV^2 and 1 - pi_0 of the trained encoder.
        curve: "step" and "loss" of at most about 50 points.
        steps: optimiser steps.
        resumed: how often the run was resumed.
        seconds: wall time: "train", "probe", and "wall" of the last session.
        peak_memory_mib: largest resident memory of the last session.
        data_fingerprint: of the images.
        note: what a reader should know, or "".
        correct: which held-out images the linear probe and kNN classify rightly, one bit each, see
            `eqco.evaluation.metrics.unpacked`; empty in records from before it was kept.
        checksum: of all of the above, as JSON.
    """

    recipe: Recipe
    seed: int
    machine: dict[str, Any]
    started: str
    ended: str
    metrics: dict[str, float]
    diagnostics: dict[str, float] = field(default_factory=dict)
    curve: dict[str, list[float]] = field(default_factory=dict)
    steps: int = 0
    resumed: int = 0
    seconds: dict[str, float] = field(default_factory=dict)
    peak_memory_mib: float | None = None
    data_fingerprint: str = ""
    note: str = ""
    numerics: int = NUMERICS
    correct: dict[str, str] = field(default_factory=dict)
    checksum: str = ""

    @property
    def digest(self) -> str:
        """Of the recipe, at the numerics of that time."""
        return self.recipe.digest(self.numerics)

    @property
    def run_id(self) -> str:
        """Name of the run, and of its file."""
        return self.recipe.run_id(self.seed, self.numerics)

    @classmethod
    def of(cls, recipe: Recipe, seed: int, machine: Machine, started: str, **outcome: Any) -> Self:
        """The record of a run that ends now; `outcome` are the other fields.

        Raises:
            ValueError: a number in it is not finite, or out of its range.
        """
        made = cls(recipe, seed, provenance(machine), started, now(), **outcome)
        check_body(made.body())
        return replace(made, checksum=checksum(made.body()))

    def body(self) -> dict[str, Any]:
        """The record as its JSON file has it."""
        body = {**vars(self), "recipe": asdict(self.recipe), "run_id": self.run_id}
        if not self.correct:  # as in records from before it was kept
            del body["correct"]
        return body

    def write(self, folder: Path) -> Path:
        """Write the record into a folder, atomically; returns its path."""
        path = folder / f"{self.run_id}.json"
        text = json.dumps(self.body(), indent=1, sort_keys=True, allow_nan=False)
        write_atomically(path, text + "\n")
        return path

    @classmethod
    def read(cls, path: Path) -> Self:
        """A record that holds what was written, its texts without control characters.

        Raises:
            RecordError: the file holds no record, is truncated or edited, or its name is not its
                run's.
        """
        try:
            body = read_json(path, parse_constant=refuse_constant)
            expected = checksum(body) if isinstance(body, dict) else None
        except OSError as error:
            raise RecordError(f"record {path} cannot be opened: {error.strerror}") from error
        except (ValueError, RecursionError) as error:
            raise RecordError(
                f"record {path} cannot be read ({error}): move it away and run again"
            ) from error
        if expected is None or "checksum" not in body:
            raise RecordError(f"record {path} holds no record: move it away and run again")
        if body["checksum"] != expected:
            raise RecordError(
                f"record {path} does not match its checksum, it was edited: move it away and run "
                "again"
            )
        try:
            body = plain_texts(body)
            check_body(body)
            name, recipe = body.pop("run_id"), Recipe.of(body.pop("recipe"))
            record = cls(recipe=recipe, **body)
        except (KeyError, TypeError, ValueError) as error:
            raise RecordError(
                f"{path} is not a record ({error}): move it away and run again"
            ) from error
        if name != path.stem:
            raise RecordError(f"record {path} belongs to run {name}: rename it back")
        if name != record.run_id:
            raise RecordError(
                f"record {path} was made by another recipe or seed: move it away and run again"
            )
        return record

    @classmethod
    def find(
        cls, folder: Path, recipe: Recipe, seed: int, numerics: int | None = None
    ) -> Self | None:
        """The record of a run under today's NUMERICS, or older ones; None where there is none.

        Raises:
            RecordError: a file of that name cannot be trusted.
        """
        path = record_path(folder, recipe, seed, numerics)
        if not path.exists():
            return None
        record = cls.read(path)
        if record.numerics != (NUMERICS if numerics is None else numerics):
            raise RecordError(f"record {path} has other numerics: move it away and run again")
        return record

    @classmethod
    def read_all(cls, folder: Path, numerics: int | None = None) -> list[Self]:
        """All records of a folder under today's NUMERICS, or older ones, by name."""
        wanted = NUMERICS if numerics is None else numerics
        found = [cls.read(path) for path in json_files(folder)]
        return [record for record in found if record.numerics == wanted]
