"""Published numbers, each with its source; see `paper/SOURCE.md`."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from functools import cache
from pathlib import Path

FILE = Path(__file__).parent / "paper" / "published.csv"
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


@cache
def published() -> tuple[Published, ...]:
    """All lines."""
    with FILE.open(encoding="utf-8", newline="") as stream:
        return tuple(
            Published(
                int(line["table"]),
                line["row"],
                line["of"],
                line["method"],
                int(line["num_negatives"]) if line["num_negatives"] else None,
                line["metric"],
                line["value"],
                int(line["trials"]),
                line["source"],
                line["note"],
            )
            for line in csv.DictReader(stream)
        )


def number_for(table: int, row: str, metric: str = "top1") -> Published | None:
    """The published number of a row, None where no source is known."""
    key = (table, row, metric)
    return next((p for p in published() if (p.table, p.row, p.metric) == key), None)


def shown(table: int, row: str) -> str:
    """The published top-1 of a row as tables show it."""
    number = number_for(table, row)
    return number.value if number else NOT_VERIFIED


def numbers_without_row(table: int) -> list[Published]:
    """Published top-1 numbers that belong to a table and to none of its rows."""
    return [p for p in published() if p.table == table and not p.row and p.metric == "top1"]
