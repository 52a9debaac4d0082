"""Several runs at once, before the tests of their cells."""

from __future__ import annotations

import signal
from pathlib import Path

from reproductions.results.records import Records
from tests.conftest import Sessions, passed
from tests.processes import python, start, wait_until

WORDS = ["reproductions", "--scale", "smoke", "-k", "table1 and k16"]


def test_runs_at_once_have_the_records_of_runs_one_after_the_other(
    tmp_path: Path, sessions: Sessions
) -> None:
    two, one = tmp_path / "two", tmp_path / "one"
    text = passed(*sessions([[*WORDS, "--jobs", "2"]], two))
    assert "3 runs, 2 at once" in text
    assert text.count("done  simo-") == 3
    alone = passed(*sessions([[*WORDS, "--threads", "1", "--run", "always"]], one))
    assert "at once" not in alone
    ours, theirs = (Records(each / "records" / "smoke").all() for each in (two, one))
    assert {r.run_id: r.metrics for r in ours} == {r.run_id: r.metrics for r in theirs}
    assert {record.machine["threads"] for record in ours} == {1}
    before = {record.run_id: record.checksum for record in ours}
    passed(*sessions([[*WORDS, "--jobs", "2", "--run", "always"]], two))
    again = {record.run_id: record.checksum for record in Records(two / "records" / "smoke").all()}
    assert before.keys() == again.keys()
    assert not before.items() & again.items()  # each was made anew, once


def test_a_signal_stops_all_runs_and_the_same_command_continues(tmp_path: Path) -> None:
    places = [f"--{name}={tmp_path / name}" for name in ("records", "checkpoints")]
    words = ["-m", "pytest", *WORDS, "--jobs", "2", *places]
    child = start(*words)
    wait_until(lambda: list((tmp_path / "checkpoints").glob("*.lock")), seconds=300)
    child.send_signal(signal.SIGTERM)
    text = child.communicate()[0]
    assert child.returncode == 128 + signal.SIGTERM, text
    assert "stopped by SIGTERM; continue with: pytest reproductions --scale smoke" in text
    python(*words)
