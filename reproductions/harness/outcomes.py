"""What became of the tests of a session, also of those that processes of pytest-xdist ran."""

from __future__ import annotations

import os
import time
from typing import Any

import pytest

from eqco.artifacts.run_files import SESSION, Busy, Run
from reproductions.harness.session import Session

PAUSE = 0.2  # seconds between two looks at a run that another process holds


class Outcomes:
    """A plugin that puts into the session what the reports of tests say; they cross processes."""

    def __init__(self, session: Session) -> None:
        self.session = session

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Keep the status of each cell, the claims judged, and the runs not waited for."""
        told: dict[str, list[Any]] = {}
        for name, value in report.user_properties:
            told.setdefault(name, []).append(value)
        called = report.when == "call"
        for number, name in told.get("row", ()):
            if called or report.outcome != "passed":
                status = {"skipped": "not run"}.get(report.outcome, report.outcome)
                self.session.statuses[number, name] = status
                self.session.judged.pop(number, None)  # before its records were there
        if called:
            claims = told.get("claim", ())
            self.session.claims += [(number, name) for number, name in claims]
            self.session.busy |= {str(run) for run in told.get("busy", ())}


def same_session(workerinput: dict[str, object] | None) -> None:
    """Name the session in the environment of a process of pytest-xdist, for locks of runs."""
    if workerinput:
        os.environ[SESSION] = str(workerinput["testrunuid"])


class Wait:
    """Waits for a run that another process of this session holds."""

    def __init__(self, job: Run) -> None:
        self.job, self.unnamed = job, 0

    def goes_on(self) -> bool:
        """After a pause, whether to ask for the run again: its holder is of this session.

        A holder without a name has just taken the run or just left it, unless it stays so.
        """
        own = os.environ.get(SESSION)
        holder = self.job.holder()
        self.unnamed += not holder
        if not own or holder not in ("", own) or self.unnamed > 10:
            return False
        time.sleep(PAUSE)
        return True


def give_up(session: Session, node: pytest.Item, job: Run, error: Busy) -> None:
    """Skip a test whose run another process holds; fail where --strict-busy asks for it."""
    node.user_properties.append(("busy", job.run_id))
    if session.strict_busy:
        pytest.fail(str(error), pytrace=False)
    pytest.skip(str(error))


def busy_line(session: Session) -> str:
    """What the closing lines say about runs of other processes; "" where there are none."""
    if not session.busy:
        return ""
    some = ", ".join(sorted(session.busy)[:3]) + (", ..." if len(session.busy) > 3 else "")
    runs = "1 run is" if len(session.busy) == 1 else f"{len(session.busy)} runs are"
    return f"{runs} being run by another process and not counted here: {some}"
