"""Published numbers, each with its source; see `paper/SOURCE.md`."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from eqco.runtime.text import plain
from eqco.runtime.validation import COUNT, Number, check_name

FILE = Path(__file__).parents[1] / "paper" / "published.csv"
NOT_VERIFIED = "not verified"


@dataclass(frozen=True)
class Published:
    """A line of `published.csv`.

    Attributes:
        table: number of this project's table.
        row: name of its row, or "" where the number fits none; `of` then says what it is of.
        of: what the number is of, where it is no row.
        method, num_negatives: as far as the source states them, else "" and None.
        metric: "top1" or "top5".
        value: percent, as the source writes it.
        trials: of how many runs it is the mean.
        source, note: where it stands, and what it is of.
    """

    table: int
    row: str
    of: str
    method: str
    num_negatives: int | None
    metric: str
    value: str
    trials: int
    source: str
    note: str


METRICS = ("top1", "top5")
PERCENT = Number(0, 100)


def read(file: Path) -> tuple[Published, ...]:
    """All lines of a file of published numbers, their texts without control characters.

    Raises:
        ValueError: a line lacks a column or holds no number where one must be.
    """
    with file.open(encoding="utf-8", newline="") as stream:
        return tuple(
            checked(line, f"{file}, line {place}")
            for place, line in enumerate(csv.DictReader(stream), 2)
        )


def checked(line: dict[str, Any], where: str) -> Published:
    """A line of the file; else ValueError, which says where it stands."""
    try:
        if None in line.values():
            raise ValueError("it has too few columns")
        texts = {name: plain(line[name]) for name in ("row", "of", "method", "source", "note")}
        check_name("metric", line["metric"], METRICS)
        PERCENT.check("value", float(line["value"]))
        number = line["num_negatives"]
        return Published(
            table=COUNT.check("table", int(line["table"])),
            num_negatives=COUNT.check("num_negatives", int(number)) if number else None,
            metric=line["metric"],
            value=plain(line["value"]).strip(),
            trials=COUNT.check("trials", int(line["trials"])),
            **texts,
        )
    except KeyError as error:
        raise ValueError(f"{where} lacks the column {error}") from error
    except (TypeError, ValueError) as error:
        raise ValueError(f"{where} is not a published number: {error}") from error


@cache
def published() -> tuple[Published, ...]:
    """All lines of `published.csv`."""
    return read(FILE)


def number_for(table: int, row: str, metric: str = "top1") -> Published | None:
    """The published number of a row, None where no source is known."""
    key = (table, row, metric)
    return next((p for p in published() if (p.table, p.row, p.metric) == key), None)


def published_text(table: int, row: str) -> str:
    """The published top-1 of a row as tables show it."""
    number = number_for(table, row)
    return number.value if number else NOT_VERIFIED


def numbers_without_row(table: int) -> list[Published]:
    """Published top-1 numbers that belong to a table and to none of its rows."""
    return [p for p in published() if p.table == table and not p.row and p.metric == "top1"]
