"""Records are read only as they were written."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import FrozenInstanceError, asdict, replace
from pathlib import Path
from typing import Any

import pytest

from eqco.artifacts.record import Record, RecordError, canonical, checksum, record_path
from eqco.config import NUMERICS, Machine
from eqco.recipe import Recipe

EQCO = replace(Recipe(), loss="eqco", alpha=256.0, num_negatives=16)


@pytest.fixture
def record(machine: Machine) -> Record:
    """A record with numbers that binary fractions cannot hold."""
    return Record.of(
        EQCO,
        3,
        machine,
        "2026-11-24T12:00:00+00:00",
        metrics={"linear": 87.123456789, "knn": 1 / 3},
        curve={"step": [0, 10], "loss": [5.5, 0.1]},
        note="",
    )


def test_a_record_is_read_as_it_was_written(tmp_path: Path, record: Record) -> None:
    path = record.write(tmp_path)
    assert path == record_path(tmp_path, EQCO, 3)
    assert Record.read(path) == record
    assert Record.find(tmp_path, EQCO, 3) == record


def test_a_record_says_what_was_run_where_and_with_what(record: Record) -> None:
    assert (record.recipe, record.seed, record.numerics) == (EQCO, 3, NUMERICS)
    assert record.run_id == EQCO.run_id(3)
    assert record.digest == EQCO.digest()
    assert record.started <= record.ended
    place = record.machine
    assert place["threads"] == 1
    assert place["device_type"] == "cpu"
    assert set(place) >= {"device", "cores", "python", "system", "versions", "commit", "dirty"}
    assert all(place["versions"][name] != "none" for name in ("torch", "numpy", "pillow"))


def test_the_file_of_a_record_holds_its_recipe_and_its_name(tmp_path: Path, record: Record) -> None:
    body = json.loads(record.write(tmp_path).read_text())
    assert Recipe.of(body["recipe"]) == EQCO
    assert body["run_id"] == EQCO.run_id(3)
    assert body["checksum"] == checksum(body)


def test_a_record_cannot_be_changed(record: Record) -> None:
    with pytest.raises(FrozenInstanceError):
        record.seed = 4  # type: ignore[misc]


def test_a_run_without_a_record_is_found_nowhere(tmp_path: Path, record: Record) -> None:
    record.write(tmp_path)
    assert Record.find(tmp_path, EQCO, 4) is None
    assert Record.find(tmp_path, replace(EQCO, alpha=128.0), 3) is None
    assert Record.find(tmp_path / "nowhere", EQCO, 3) is None


def test_a_line_of_a_file_of_records_is_the_whole_record(tmp_path: Path, record: Record) -> None:
    path, other = tmp_path / "collected.jsonl", replace(record, seed=4, checksum="")
    other, line = replace(other, checksum=checksum(other.body())), canonical(record.body())
    path.write_text(f"{line}\n{canonical(other.body())}\n")
    assert Record.read_lines(path) == [record, other]
    assert Record.named(EQCO.run_id(4), path) == Record.named(EQCO.run_id(4), tmp_path) == other
    assert Record.named("none", path) is None
    path.write_text(f"{line}\n{edit_metric(line)}\n")
    with pytest.raises(RecordError, match=r"jsonl, line 2, does not match .*: restore"):
        Record.read_lines(path)


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
    """NaN, which Python's JSON reads."""
    return text.replace("87.123456789", "NaN")


@pytest.mark.parametrize("edit", [edit_metric, edit_seed, drop_checksum, write_nan])
def test_an_edited_record_is_an_error_with_its_name(
    tmp_path: Path, record: Record, edit: Callable[[str], str]
) -> None:
    path = record.write(tmp_path)
    edited = edit(path.read_text())
    assert edited != path.read_text()
    path.write_text(edited)
    for look in (
        lambda: Record.read(path),
        lambda: Record.find(tmp_path, EQCO, 3),
    ):
        with pytest.raises(RecordError, match=f"record .*{path.name}.*move it away and run again"):
            look()


@pytest.mark.parametrize("share", [0.0, 0.5, 0.99], ids="kept{}".format)
def test_a_truncated_record_is_an_error_with_its_name(
    tmp_path: Path, record: Record, share: float
) -> None:
    path = record.write(tmp_path)
    text = path.read_text()
    path.write_text(text[: int(share * len(text))])
    with pytest.raises(RecordError, match=f"record .*{path.name} cannot be read.*move it away"):
        Record.find(tmp_path, EQCO, 3)


@pytest.mark.parametrize("text", ["[]", "{}", "null", "3", '"record"'])
def test_json_that_is_no_record_is_said_to_be_none(tmp_path: Path, text: str) -> None:
    path = record_path(tmp_path, EQCO, 3)
    path.write_text(text)
    with pytest.raises(RecordError, match=f"{path.name} holds no record: move it away"):
        Record.read(path)


@pytest.mark.parametrize("sign", ["", "-"])
def test_a_number_too_long_to_read_is_told_in_the_suites_words(
    tmp_path: Path, record: Record, sign: str
) -> None:
    path = record.write(tmp_path)
    long = path.read_text().replace('"seed": 3', f'"seed": {sign}{"9" * 6000}')
    path.write_text(long)
    with pytest.raises(RecordError, match=r"\(it holds a number of 6000 digits\): move it"):
        Record.read(path)


def test_bytes_that_are_no_text_raise_an_error(tmp_path: Path) -> None:
    path = record_path(tmp_path, EQCO, 3)
    path.write_bytes(b"\xff\xfe\x00\x81")
    with pytest.raises(RecordError, match="cannot be read"):
        Record.read(path)


def test_another_layout_of_the_json_is_no_edit(tmp_path: Path, record: Record) -> None:
    path = record.write(tmp_path)
    path.write_text(json.dumps(json.loads(path.read_text())))
    assert Record.read(path) == record


def test_a_record_under_the_name_of_another_run_raises_an_error(
    tmp_path: Path, record: Record
) -> None:
    path = record.write(tmp_path)
    path.rename(record_path(tmp_path, EQCO, 4))
    with pytest.raises(RecordError, match=f"belongs to run {EQCO.run_id(3)}"):
        Record.find(tmp_path, EQCO, 4)


def test_a_record_of_another_recipe_raises_an_error_though_its_checksum_is_right(
    tmp_path: Path, record: Record
) -> None:
    path = record.write(tmp_path)
    forged = {**record.body(), "recipe": asdict(replace(EQCO, temperature=0.1))}
    forged["checksum"] = checksum(forged)
    path.write_text(json.dumps(forged))
    with pytest.raises(RecordError, match="made by another recipe"):
        Record.find(tmp_path, EQCO, 3)


@pytest.mark.parametrize(
    "change",
    [{"recipe": {"method": "sim"}}, {"recipe": None}, {"extra": 1}, {"run_id": None}],
    ids=str,
)
def test_an_invalid_field_raises_a_record_error_though_the_checksum_is_right(
    tmp_path: Path, record: Record, change: dict[str, Any]
) -> None:
    path = record.write(tmp_path)
    forged = {**record.body(), "recipe": asdict(EQCO), **change}
    forged["checksum"] = checksum(forged)
    path.write_text(json.dumps(forged))
    with pytest.raises(RecordError, match=path.stem):
        Record.find(tmp_path, EQCO, 3)


def test_records_of_older_numerics_do_not_count(
    tmp_path: Path, record: Record, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = record.write(tmp_path)
    for module in ("eqco.config", "eqco.artifacts.record"):
        monkeypatch.setattr(f"{module}.NUMERICS", NUMERICS + 1)
    assert Record.find(tmp_path, EQCO, 3) is None
    assert Record.read(path) == record  # still a whole record, of its own numerics


def test_a_record_with_nan_is_never_written(
    tmp_path: Path, record: Record, machine: Machine
) -> None:
    broken = replace(record, metrics={"linear": float("nan")})
    with pytest.raises(ValueError, match="JSON"):
        broken.write(tmp_path)
    with pytest.raises(ValueError, match=r"metrics\.linear"):
        Record.of(EQCO, 3, machine, record.started, metrics={"linear": float("nan")})
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "value", [None, [], "text", 3, {"linear": None}, {"linear": "80"}], ids=str
)
@pytest.mark.parametrize("name", ["metrics", "diagnostics", "seconds", "machine", "curve"])
def test_a_sealed_record_with_fields_of_wrong_types_is_an_error_that_names_them(
    tmp_path: Path, record: Record, name: str, value: object
) -> None:
    """A checksum can be made anew, so it does not say that the fields can be read."""
    body = {**record.body(), name: value}
    body["checksum"] = checksum(body)
    path = record_path(tmp_path, record.recipe, record.seed)
    path.write_text(json.dumps(body), encoding="utf-8")
    with pytest.raises(RecordError, match=f"is not a record .*{name}"):
        Record.read(path)
