"""A pytest plugin that changes the accuracy in records, before the session starts.

Usage: pytest -p tests.programs.edit_records; edits the records of --records named `*-k16-*`.
"""

import json

import pytest


@pytest.hookimpl(tryfirst=True)
def pytest_sessionstart(session: pytest.Session) -> None:
    """Write another accuracy into the records, and leave their checksums."""
    for path in session.config.getoption("records").glob("*/*-k16-*.json"):
        body = json.loads(path.read_text(encoding="utf-8"))
        body["metrics"]["linear"] = 99.9
        path.write_text(json.dumps(body), encoding="utf-8")
