"""`eqco redo`: the same numbers again, or which of them differ."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from eqco.artifacts.record import Record, canonical, checksum, now
from eqco.cli.redo import differences, find
from eqco.config import Machine
from eqco.engine.run import run
from reproductions.scales import SCALES
from tests.conftest import Command

TINY = replace(SCALES["smoke"].base, epochs=1)


@pytest.fixture(scope="module")
def record(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file of a finished run."""
    folder = tmp_path_factory.mktemp("redo")
    made = run(TINY, 0, Machine(threads=1, checkpoints=folder / "checkpoints"), folder)
    return folder / f"{made.run_id}.json"


def test_a_run_made_again_is_equal_to_the_bit_and_leaves_nothing(
    record: Path, tmp_path: Path, run_eqco: Command
) -> None:
    out = tmp_path / "out"
    text = run_eqco("redo", record.stem, "--records", record.parent, "--out", out)
    assert text.splitlines()[-1] == f"{record.stem}: equal to the bit"
    assert not [path for path in out.rglob("*") if path.suffix in (".json", ".pt")]


def test_a_run_is_found_among_collected_records(record: Path, tmp_path: Path) -> None:
    made = Record.read(record)
    (tmp_path / "smoke.jsonl").write_text(f"{canonical(made.body())}\n")
    assert find(made.run_id, tmp_path) == made


def test_a_number_that_differs_is_named_with_both_values(
    record: Path, tmp_path: Path, run_eqco: Command
) -> None:
    body = json.loads(record.read_text())
    body["metrics"]["knn"] += 0.25
    body["checksum"] = checksum(body)
    other = tmp_path / record.name
    other.write_text(json.dumps(body))
    outcome = json.loads(run_eqco("redo", other, "--out", tmp_path / "out", "--json", status=1))
    assert not outcome["equal"]
    assert list(outcome["differs"]) == ["metrics.knn"]
    before, after = outcome["differs"]["metrics.knn"]
    assert before - after == pytest.approx(0.25)


@pytest.mark.parametrize("data", ["folder:12345678", "images:12345678", "part:12345678"])
def test_a_missing_data_folder_is_named(data: str, tmp_path: Path, run_eqco: Command) -> None:
    files = {"views": "moco-v2", "image_size": 32, "probe": "crops"} if "part" in data else {}
    recipe = replace(SCALES["cifar10-quick"].base, data=data, epochs=0, **files)
    record = Record.of(recipe, 0, Machine(), now(), metrics={}).write(tmp_path)
    nowhere = tmp_path / "nowhere"
    error = run_eqco("redo", record, "--data", nowhere, "--out", tmp_path / "out", status=2)
    assert error == f"error: --data {nowhere} does not exist: give the path of a folder of images\n"


def test_what_is_not_kept_in_an_older_record_is_not_compared(record: Path) -> None:
    new = Record.read(record)
    assert new.correct
    assert differences(replace(new, correct={}), new) == {}
    assert list(differences(replace(new, steps=1), new)) == ["steps"]
