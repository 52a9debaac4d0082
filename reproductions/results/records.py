"""Records of a scale in files: the committed ones, or those of a user's folder."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path

from eqco.artifacts.record import Record, RecordError, canonical, record_path
from eqco.config import NUMERICS
from eqco.recipe import Recipe
from eqco.runtime.files import parse_json
from eqco.runtime.listing import json_files

RECORDS = Path(__file__).parents[1] / "records"
LINES = ".jsonl"


def scale_records(folder: Path, scale: str) -> Records:
    """The records of a scale in its own folder, or in one with a folder for each scale."""
    records = Records(folder)
    return records if folder.name == scale and records else Records(folder / scale)


class Records:
    """Records in a file with one on each line, `NAME.jsonl`, in files of a folder `NAME`, or both.

    Attributes:
        folder: the folder, which need not exist.
        file: the file, which need not exist.
    """

    def __init__(self, place: Path) -> None:
        self.folder = place.with_name(place.name.removesuffix(LINES))
        self.file = self.folder.with_name(self.folder.name + LINES)

    @property
    def place(self) -> Path:
        """The path that exists, for messages."""
        return self.file if self.file.is_file() and not self.folder.is_dir() else self.folder

    @cached_property
    def lines(self) -> dict[str, Record]:
        """Those of the file by run id.

        Raises:
            RecordError: a line cannot be trusted.
        """
        records = Record.read_lines(self.file) if self.file.is_file() else []
        return {record.run_id: record for record in records}

    def find(self, recipe: Recipe, seed: int) -> Record | None:
        """The record of a run; None where there is none.

        Raises:
            RecordError: it cannot be trusted.
        """
        record = self.lines.get(recipe.run_id(seed))
        return Record.find(self.folder, recipe, seed) if record is None else record

    def __bool__(self) -> bool:
        """Whether there is a file of records at all."""
        return self.file.is_file() or bool(json_files(self.folder))

    def has(self, recipe: Recipe, seed: int) -> bool:
        """Whether there is a record of a run; it is not read."""
        name = recipe.run_id(seed)
        return name in self.lines or record_path(self.folder, recipe, seed).exists()

    def written(self) -> dict[str, str]:
        """The JSON of each record as it was written, canonical, by run id.

        Without fields that recipes got later, so that the checksum still holds.
        """
        texts = self.file.read_text(encoding="utf-8").splitlines() if self.file.is_file() else []
        texts += [path.read_text(encoding="utf-8") for path in json_files(self.folder)]
        return {body["run_id"]: canonical(body) for body in map(parse_json, texts)}

    def all_numerics(self, skipped: list[str] | None = None) -> list[Record]:
        """Every record, of earlier numerics too, by run id.

        Args:
            skipped: gets a sentence for each file that cannot be trusted; without it, the first
                such file is an error.

        Raises:
            RecordError: a record cannot be trusted.
        """
        records: dict[str, Record] = {}
        for path in (self.file, *json_files(self.folder)):
            try:
                records |= self.lines if path == self.file else {path.stem: Record.read(path)}
            except RecordError as error:
                if skipped is None:
                    raise
                skipped.append(str(error))
        return [records[name] for name in sorted(records)]

    def all(self, skipped: list[str] | None = None) -> list[Record]:
        """Every record of today's numerics, by run id; `skipped` gets a sentence on the others."""
        records = self.all_numerics(skipped)
        current = [record for record in records if record.numerics == NUMERICS]
        if skipped is not None and (left_out := len(records) - len(current)):
            skipped.append(
                f"{left_out} of {len(records)} records, of other numerics than {NUMERICS}"
            )
        return current


def is_committed(place: Path) -> bool:
    """Whether a place of records is that of committed ones."""
    return place.resolve().parent == RECORDS.resolve()


def committed_records(scale: str) -> tuple[Record, ...]:
    return tuple(Records(RECORDS / scale).all())
