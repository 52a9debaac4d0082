"""Records of others beside the committed ones: checked, all or none, sorted."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from eqco.artifacts.record import Record, canonical, checksum
from eqco.recipe import Recipe
from reproductions.__main__ import main
from reproductions.experiments import submissions
from reproductions.results import records
from tests import synthetic
from tests.reproductions.conftest import line
from tests.synthetic import changed, make_record

CLEAN = {"device": "a CPU", "threads": 1, "commit": "c" * 40, "dirty": False}
Command = Callable[..., tuple[int, str]]


def record(seed: int, linear: float = 80.0, **changes: object) -> Record:
    """A record of the baseline, from a commit without changes."""
    fields = {"machine": CLEAN, "data_fingerprint": "0" * 16, "started": "", "ended": "", **changes}
    return changed(make_record(Recipe(), seed, linear), **fields)


@pytest.fixture
def committed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The file of committed records of glyphs: seeds 0 and 10 of the baseline."""
    folder = tmp_path / "committed"
    folder.mkdir()
    path = folder / "glyphs.jsonl"
    path.write_text(line(record(0)) + line(record(10)), encoding="utf-8")
    for module in (records, submissions):
        monkeypatch.setattr(module, "RECORDS", folder)
    synthetic.forget()
    yield path
    monkeypatch.undo()
    synthetic.forget()


@pytest.fixture
def command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Command:
    """Status and output of `records check` or `records add` on some records."""

    def run(action: str, *records: Record, scale: str = "glyphs") -> tuple[int, str]:
        for each in records:
            each.write(tmp_path / "own" / scale)
        status = main(["records", action, str(tmp_path / "own")])
        return status, "".join(capsys.readouterr())

    return run


def test_new_records_are_added_in_the_order_of_their_runs(
    committed: Path, command: Command
) -> None:
    before = committed.read_bytes()
    status, text = command("check", record(2), record(0, started="2026-01-01"))
    assert (status, committed.read_bytes()) == (0, before)
    assert "1 new, 1 committed already with the same metrics, 0 refused" in text
    status, text = command("add")
    assert status == 0
    assert f"{committed}: 1 added, 3 records in all" in text
    lines = committed.read_text(encoding="utf-8").splitlines(keepends=True)
    assert lines == [line(record(seed)) for seed in (0, 10, 2)]


def test_records_of_recipes_that_lack_later_fields_stay_as_they_were_written(
    tmp_path: Path, committed: Path, command: Command
) -> None:
    body = record(2).body()
    del body["recipe"]["variance_penalty"], body["checksum"]
    body["checksum"] = checksum(body)
    (tmp_path / "own" / "glyphs").mkdir(parents=True)
    path = tmp_path / "own" / "glyphs" / f"{body['run_id']}.json"
    path.write_text(json.dumps(body), encoding="utf-8")
    for added in (record(3), record(4)):  # the second time it is among the committed ones
        assert command("add", added)[0] == 0
        assert f"{canonical(body)}\n" in committed.read_text(encoding="utf-8").splitlines(True)
    assert len(Record.read_lines(committed)) == 5


def test_what_was_made_differently_is_told(committed: Path, command: Command) -> None:
    status, text = command("check", record(2, machine={**CLEAN, "threads": 2}))
    assert status == 0
    assert "threads: 1 | 2" in text


FAULTS = {
    "it was not made from a commit without changes": {"machine": {**CLEAN, "dirty": True}},
    "made from a commit": {"machine": {**CLEAN, "commit": None}},
    "its images have fingerprint 1111111111111111, those of the other records 0000000000000000": {
        "data_fingerprint": "1" * 16
    },
    "it is of numerics 1, today's are 2": {"numerics": 1},
    "no table, sweep or experiment of scale glyphs has it": {"recipe": Recipe(epochs=11)},
}


@pytest.mark.parametrize("sentence", FAULTS)
def test_one_record_that_does_not_fit_keeps_all_out(
    sentence: str, committed: Path, command: Command
) -> None:
    before = committed.read_bytes()
    other = record(3, **FAULTS[sentence])
    status, text = command("add", record(2), other)
    assert (status, committed.read_bytes()) == (1, before)
    assert f"refused: {other.run_id}: " in text
    assert sentence in text
    assert "nothing was added" in text


def test_another_result_of_a_committed_run_is_refused(committed: Path, command: Command) -> None:
    status, text = command("check", record(0, 81.0))
    assert status == 1
    assert "committed with other metrics (class_mean 50.00, knn 70.00, linear 80.00 | " in text


def test_a_damaged_record_is_refused_by_its_file(
    tmp_path: Path, committed: Path, command: Command
) -> None:
    path = record(2).write(tmp_path / "own" / "glyphs")
    path.write_text(path.read_text(encoding="utf-8").replace("80.0", "90.0"), encoding="utf-8")
    status, text = command("add", record(3))
    assert status == 1
    assert f"refused: record {path} does not match its checksum" in text


def test_a_scale_without_claims_is_left_out_and_a_folder_without_records_named(
    tmp_path: Path, committed: Path, command: Command
) -> None:
    assert command("add", scale="smoke")[0] == 2
    status, text = command("add", record(2), scale="smoke")
    assert (status, text) == (0, "smoke: left out: no claim is judged at this scale\n")
    (tmp_path / "own" / "smoke" / f"{record(2).run_id}.json").unlink()
    status, text = command("check")
    assert status == 2
    assert "holds no record of a scale: name a folder such as runs/records" in text
