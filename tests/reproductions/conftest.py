"""Committed evidence of a test's own, so that no test depends on which runs were committed."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial

import pytest

from eqco.artifacts.record import Record, canonical
from tests import synthetic

Commit = Callable[[Sequence[Record]], None]


def line(record: Record) -> str:
    """A record as a line of a file of records."""
    return f"{canonical(record.body())}\n"


@pytest.fixture
def commit(monkeypatch: pytest.MonkeyPatch) -> Iterator[Commit]:
    """Makes some records the only committed ones, of scale glyphs, until the test ends."""

    yield partial(synthetic.commit, monkeypatch)
    monkeypatch.undo()
    synthetic.forget()
