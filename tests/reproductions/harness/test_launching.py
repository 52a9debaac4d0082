"""Runs in other processes: a cluster, its stand-in on this machine, job files, several at once."""

from __future__ import annotations

import signal
from dataclasses import replace
from pathlib import Path

import pytest

from eqco.artifacts.record import Record
from eqco.artifacts.run_files import Run
from eqco.runtime.validation import TrainingError
from reproductions.harness import launching
from reproductions.harness.launching import launched, waited_for, write_job
from reproductions.results.records import Records
from reproductions.scales import SCALES
from tests.conftest import Sessions, passed
from tests.faults.damage import run_in
from tests.processes import python, start, wait_until
from tests.reproductions.conftest import session_of

RECIPE = replace(SCALES["smoke"].base, epochs=1, probe_epochs=2)


def test_a_cluster_gets_each_run_once_with_numbers_as_numbers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    submitted: list[tuple[int, dict[str, object]]] = []
    monkeypatch.setattr(
        launching, "by_slurm", lambda run, *_, **named: submitted.append((run.seed, named))
    )
    options = ("timeout_min=5", "comment=a=b")
    session = session_of(run_in(tmp_path, RECIPE), launcher="slurm", launcher_options=options)
    for seed in (0, 1, 0):
        assert launched(session, session.run(RECIPE, seed)) is None
    assert submitted == [(seed, {"timeout_min": 5, "comment": "a=b"}) for seed in (0, 1)]


def test_a_dry_run_on_this_machine_waits_for_the_record(tmp_path: Path) -> None:
    """A process of this machine stands in for a cluster."""
    pytest.importorskip("submitit")
    order = run_in(tmp_path, RECIPE)
    options = ("cluster=local", "timeout_min=5")
    done = launched(session_of(order, launcher="slurm", launcher_options=options), order)
    assert done is not None
    assert done == Record.find(order.folder, RECIPE, 0)


def test_a_dry_run_that_fails_names_its_log(tmp_path: Path) -> None:
    class Failed:
        job_id = "7"

        def result(self) -> None:
            raise RuntimeError("trace\nValueError: no such node")

    with pytest.raises(TrainingError, match=r"\(ValueError: no such node\): read .*7_0_log.err"):
        waited_for(Failed(), run_in(tmp_path, RECIPE), tmp_path)


def test_job_files_are_written_once_and_run_by_hand(tmp_path: Path) -> None:
    order = run_in(tmp_path, RECIPE)
    session = session_of(order, launcher="slurm")
    for _ in range(2):
        write_job(session, order)
    (path,) = session.job_files
    assert Run.read_job(path) == order.absolute()


def test_job_files_of_a_session_train_nothing(tmp_path: Path, sessions: Sessions) -> None:
    words = ["reproductions", "-k", "table1 and k16", "--scale", "smoke", "--write-jobs"]
    text = passed(*sessions([words], tmp_path))
    files = sorted((tmp_path / "checkpoints").glob("*"))
    assert f"{len(files)} job file(s) in {tmp_path / 'checkpoints'}" in text
    assert files
    assert all(file.name.endswith(".job.json") for file in files)
    assert not list((tmp_path / "records").rglob("*.json"))


# Several runs at once, before the tests of their cells.


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
