"""Records: written whole or not at all, and believed only as they were written."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest

from eqco import record as records
from eqco.recipe import Machine, Recipe
from eqco.record import RecordError, find, make, path_of, read, read_all, write, write_atomically

EQCO = replace(Recipe(), loss="eqco", alpha=256.0, num_negatives=16)


@pytest.fixture
def record(machine: Machine) -> dict[str, Any]:
    """A sealed record with numbers that binary fractions cannot hold."""
    return make(
        EQCO,
        3,
        machine,
        "2026-11-24T12:00:00+00:00",
        metrics={"linear": 87.123456789, "knn": 1 / 3},
        curve={"step": [0, 10], "loss": [5.5, 0.1]},
        note="",
    )


def test_a_record_is_read_as_it_was_written(tmp_path: Path, record: dict[str, Any]) -> None:
    path = write(tmp_path, record)
    assert path == path_of(tmp_path, EQCO, 3)
    assert read(path) == record
    assert find(tmp_path, EQCO, 3) == record
    assert read_all(tmp_path) == [record]


def test_a_record_says_what_was_run_where_and_with_what(record: dict[str, Any]) -> None:
    assert Recipe.of(record["recipe"]) == EQCO
    assert (record["seed"], record["numerics"]) == (3, records.NUMERICS)
    assert record["run_id"] == EQCO.run_id(3)
    assert record["started"] <= record["ended"]
    place = record["machine"]
    assert place["threads"] == 1
    assert place["device_type"] == "cpu"
    assert set(place) >= {"device", "cores", "python", "system", "versions", "commit", "dirty"}
    assert all(place["versions"][name] != "none" for name in ("torch", "numpy", "pillow"))


def test_a_run_without_a_record_is_found_nowhere(tmp_path: Path, record: dict[str, Any]) -> None:
    write(tmp_path, record)
    assert find(tmp_path, EQCO, 4) is None
    assert find(tmp_path, replace(EQCO, alpha=128.0), 3) is None
    assert find(tmp_path / "nowhere", EQCO, 3) is None


def edit_metric(text: str) -> str:
    """A better accuracy."""
    return text.replace("87.123456789", "97.123456789")


def edit_seed(text: str) -> str:
    """Another seed."""
    return text.replace('"seed": 3', '"seed": 4')


def drop_checksum(text: str) -> str:
    """No checksum at all."""
    return json.dumps({k: v for k, v in json.loads(text).items() if k != "checksum"})


def write_nan(text: str) -> str:
    """A number that is none, which Python's JSON reads."""
    return text.replace("87.123456789", "NaN")


@pytest.mark.parametrize("edit", [edit_metric, edit_seed, drop_checksum, write_nan])
def test_an_edited_record_is_refused_by_name(
    tmp_path: Path, record: dict[str, Any], edit: Callable[[str], str]
) -> None:
    path = write(tmp_path, record)
    edited = edit(path.read_text())
    assert edited != path.read_text()
    path.write_text(edited)
    for look in (lambda: read(path), lambda: find(tmp_path, EQCO, 3), lambda: read_all(tmp_path)):
        with pytest.raises(RecordError, match=f"record .*{path.name}.*delete it and run again"):
            look()


@pytest.mark.parametrize("share", [0.0, 0.5, 0.99], ids="kept{}".format)
def test_a_truncated_record_is_refused_by_name(
    tmp_path: Path, record: dict[str, Any], share: float
) -> None:
    path = write(tmp_path, record)
    text = path.read_text()
    path.write_text(text[: int(share * len(text))])
    with pytest.raises(RecordError, match=f"record .*{path.name} cannot be read.*delete it"):
        find(tmp_path, EQCO, 3)


@pytest.mark.parametrize("text", ["[]", "null", "3", '"record"'])
def test_json_that_is_no_record_is_refused(tmp_path: Path, text: str) -> None:
    path = path_of(tmp_path, EQCO, 3)
    path.write_text(text)
    with pytest.raises(RecordError, match=path.name):
        read(path)


def test_bytes_that_are_no_text_are_refused(tmp_path: Path) -> None:
    path = path_of(tmp_path, EQCO, 3)
    path.write_bytes(b"\xff\xfe\x00\x81")
    with pytest.raises(RecordError, match="cannot be read"):
        read(path)


def test_laying_out_the_json_anew_is_no_edit(tmp_path: Path, record: dict[str, Any]) -> None:
    path = write(tmp_path, record)
    path.write_text(json.dumps(json.loads(path.read_text())))
    assert read(path) == record


def test_a_record_under_the_name_of_another_run_is_refused(
    tmp_path: Path, record: dict[str, Any]
) -> None:
    path = write(tmp_path, record)
    path.rename(path_of(tmp_path, EQCO, 4))
    with pytest.raises(RecordError, match=f"belongs to run {EQCO.run_id(3)}"):
        find(tmp_path, EQCO, 4)


def test_a_record_of_another_recipe_is_refused_though_it_is_sealed(
    tmp_path: Path, record: dict[str, Any]
) -> None:
    forged = {**record, "recipe": asdict(replace(EQCO, temperature=0.1))}
    forged["checksum"] = records.checksum(forged)
    write(tmp_path, forged)
    with pytest.raises(RecordError, match="made by another recipe"):
        find(tmp_path, EQCO, 3)


def test_records_of_older_numerics_do_not_count(
    tmp_path: Path, record: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path, record)
    for module in ("eqco.recipe", "eqco.record"):
        monkeypatch.setattr(f"{module}.NUMERICS", records.NUMERICS + 1)
    assert read_all(tmp_path) == []
    assert find(tmp_path, EQCO, 3) is None


def test_a_record_with_nan_is_never_written(tmp_path: Path, record: dict[str, Any]) -> None:
    record["metrics"]["linear"] = float("nan")
    with pytest.raises(ValueError, match="JSON"):
        write(tmp_path, record)
    assert list(tmp_path.iterdir()) == []


def test_a_failed_write_leaves_the_old_file_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "file.json"
    write_atomically(path, "old")

    def full(*_: object) -> None:
        raise OSError("no space left on device")

    for function in ("fsync", "replace"):
        with monkeypatch.context() as patch:
            patch.setattr(os, function, full)
            with pytest.raises(OSError, match="no space left"):
                write_atomically(path, "new")
        assert path.read_text() == "old"
        assert list(tmp_path.iterdir()) == [path]


WRITER = """
import sys
from pathlib import Path
from eqco.record import write_atomically
path, letter = Path(sys.argv[1]), sys.argv[2]
print("ready", flush=True)
sys.stdin.readline()
for _ in range(60):
    write_atomically(path, letter * 200_000)
"""


def test_a_reader_sees_whole_files_while_many_processes_write(
    tmp_path: Path, environment: dict[str, str]
) -> None:
    path = tmp_path / "records" / "one.json"
    write_atomically(path, "a" * 200_000)
    writers = [
        subprocess.Popen(
            [sys.executable, "-c", WRITER, str(path), letter],
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for letter in "bcd"
    ]
    for each in writers:
        assert each.stdout.readline() == "ready\n"
    for each in writers:
        each.stdin.write("go\n")
        each.stdin.flush()
    seen = set()
    while any(each.poll() is None for each in writers):
        text = path.read_text()
        assert len(text) == 200_000
        assert len(set(text)) == 1
        seen.add(text[0])
    for each in writers:
        each.communicate()
        assert each.returncode == 0
    assert len(seen) > 1
    assert list(path.parent.iterdir()) == [path]


def test_all_users_may_read_a_written_file(tmp_path: Path) -> None:
    path = tmp_path / "one.json"
    write_atomically(path, "text")
    assert path.stat().st_mode & 0o444 == 0o444
