"""Committed evidence of a test's own, and sessions of pytest."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial

import pytest

from eqco.artifacts.record import Record, canonical
from eqco.artifacts.run_files import Run
from reproductions.harness.session import Session
from tests import synthetic

Commit = Callable[[Sequence[Record]], None]


def line(record: Record) -> str:
    """A record as a line of a file of records."""
    return f"{canonical(record.body())}\n"


def session_of(run: Run, **fields: object) -> Session:
    """A session of pytest at scale smoke with the recipe, machine and folder of a run."""
    usual = {"scale": "smoke", "policy": "missing", "seeds": range(2), "command": "pytest"}
    own = {"base": run.recipe, "machine": run.machine, "folder": run.folder}
    return Session(**{**usual, **own, **fields})


@pytest.fixture
def commit(monkeypatch: pytest.MonkeyPatch) -> Iterator[Commit]:
    """Makes some records the only committed ones, of scale glyphs, until the test ends.

    No test then depends on which runs were committed.
    """

    yield partial(synthetic.commit, monkeypatch)
    monkeypatch.undo()
    synthetic.forget()
