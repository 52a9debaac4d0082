"""Records: what was run, where, with what result.

A run writes one JSON file. Collected records are the lines of one file, `NAME.jsonl`, by run id.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

from eqco.artifacts.environment import provenance
from eqco.artifacts.record_schema import check_body
from eqco.config import NUMERICS, Machine
from eqco.recipe import Recipe
from eqco.runtime.files import parse_json, write_atomically
from eqco.runtime.text import plain, plain_texts


class RecordError(ValueError):
    """A record cannot be trusted: truncated, edited, or of another recipe.

    Its sentence may quote the file, so that it is made plain.
    """

    def __init__(self, sentence: str) -> None:
        super().__init__(plain(sentence))


def canonical(body: dict[str, Any]) -> str:
    """A record's JSON on one line: sorted names, no spaces."""
    return json.dumps(body, sort_keys=True, separators=(",", ":"), allow_nan=False)


def checksum(body: dict[str, Any]) -> str:
    """SHA-256 of a record's canonical JSON without its own `checksum`."""
    body = {name: value for name, value in body.items() if name != "checksum"}
    return hashlib.sha256(canonical(body).encode()).hexdigest()


def now() -> str:
    """UTC, ISO 8601, whole seconds."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def refuse_constant(name: str) -> None:
    """Raise ValueError for NaN and Infinity, which no record holds."""
    raise ValueError(f"it holds {name}")


def record_path(folder: Path, recipe: Recipe, seed: int) -> Path:
    """Path of the record of a run under today's NUMERICS."""
    return folder / f"{recipe.run_id(seed)}.json"


AGAIN = "move it away and run again"


def read_text(path: Path) -> str:
    """The text of a file of records.

    Raises:
        RecordError: it cannot be opened, or is no text.
    """
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise RecordError(f"record {path} cannot be opened: {error.strerror}") from error
    except ValueError as error:
        raise RecordError(f"record {path} cannot be read ({error}): {AGAIN}") from error


@dataclass(frozen=True)
class Record:
    """A finished run.

    Attributes:
        recipe, seed: what was run.
        numerics: `eqco.config.NUMERICS` of that time.
        machine: device, threads, versions, commit; see `eqco.artifacts.environment`.
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
        """The record of a file, its texts without control characters.

        Raises:
            RecordError: the file holds no record, is truncated or edited, or its name is not its
                run's.
        """
        record = cls.parse(read_text(path), f"record {path}", AGAIN)
        if record.run_id != path.stem:
            raise RecordError(f"record {path} belongs to run {record.run_id}: rename it back")
        return record

    @classmethod
    def read_lines(cls, path: Path) -> list[Self]:
        """The records of a file with one on each line.

        Raises:
            RecordError: the file cannot be opened, or a line is no record.
        """
        lines = filter(None, read_text(path).split("\n"))
        return [
            cls.parse(line, f"record {path}, line {number},", "restore the file")
            for number, line in enumerate(lines, 1)
        ]

    @classmethod
    def named(cls, run_id: str, place: Path) -> Self | None:
        """The record of a run below a folder, or in a file with one on each line, if it is there.

        Raises:
            RecordError: a file that may hold it cannot be trusted.
        """
        for file in sorted(place.rglob("*.json")):
            if file.stem == run_id:
                return cls.read(file)
        collected = sorted(place.rglob("*.jsonl")) if place.is_dir() else [place]
        records = (record for file in collected for record in cls.read_lines(file))
        return next((record for record in records if record.run_id == run_id), None)

    @classmethod
    def parse(cls, text: str, name: str, remedy: str) -> Self:
        """The record of a JSON text.

        Raises:
            RecordError: the text is no record, truncated or edited; it has `name` and `remedy`.
        """
        try:
            body = parse_json(text, parse_constant=refuse_constant)
            expected = checksum(body) if isinstance(body, dict) else None
        except (ValueError, RecursionError) as error:
            raise RecordError(f"{name} cannot be read ({error}): {remedy}") from error
        if expected is None or "checksum" not in body:
            raise RecordError(f"{name} holds no record: {remedy}")
        if body["checksum"] != expected:
            raise RecordError(f"{name} does not match its checksum, it was edited: {remedy}")
        try:
            body = plain_texts(body)
            check_body(body)
            run_id, recipe = body.pop("run_id"), Recipe.of(body.pop("recipe"))
            record = cls(recipe=recipe, **body)
        except (KeyError, TypeError, ValueError) as error:
            raise RecordError(f"{name} is not a record ({error}): {remedy}") from error
        if run_id != record.run_id:
            raise RecordError(f"{name} was made by another recipe or seed: {remedy}")
        return record

    @classmethod
    def find(cls, folder: Path, recipe: Recipe, seed: int) -> Self | None:
        """The record of a run under today's NUMERICS; None where there is none.

        Raises:
            RecordError: a file of that name cannot be trusted.
        """
        path = record_path(folder, recipe, seed)
        if not path.exists():
            return None
        if not path.is_file():  # a pipe would be waited for
            raise RecordError(f"record {path} is no regular file: {AGAIN}")
        record = cls.read(path)
        if record.numerics != NUMERICS:
            raise RecordError(f"record {path} has other numerics: {AGAIN}")
        return record
