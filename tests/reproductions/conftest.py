"""Committed evidence of a test's own, so that no test depends on which runs were committed."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import pytest

from eqco.artifacts.record import Record, canonical
from reproductions.results import records as evidence

Commit = Callable[[Sequence[Record]], None]


def line(record: Record) -> str:
    """A record as a line of a file of records."""
    return f"{canonical(record.body())}\n"


def forget() -> None:
    """Empty the caches of `reproductions.results.records`."""
    for each in vars(evidence).values():
        if hasattr(each, "cache_clear"):
            each.cache_clear()


@pytest.fixture
def commit(monkeypatch: pytest.MonkeyPatch) -> Iterator[Commit]:
    """Makes some records the only committed ones, of scale glyphs, until the test ends."""

    def replace(records: Sequence[Record]) -> None:
        forget()
        monkeypatch.setattr(
            evidence,
            "committed_records",
            lambda scale: tuple(records) if scale == "glyphs" else (),
        )

    yield replace
    monkeypatch.undo()
    forget()
