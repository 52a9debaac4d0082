"""Records are read only as they were written; names beside a checkpoint are files of ours."""

from __future__ import annotations

import json
import os
import warnings
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest

from eqco.artifacts.record import Record, RecordError, canonical, checksum, record_path
from eqco.artifacts.run_files import Run
from eqco.config import NUMERICS, Machine
from eqco.engine.run import untrained
from eqco.recipe import Recipe
from eqco.runtime.validation import TrainingError
from tests.faults.damage import RECIPE, machine_in
from tests.reproductions.conftest import session_of
from tests.synthetic import changed

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


def test_a_run_without_a_record_is_found_nowhere(tmp_path: Path, record: Record) -> None:
    record.write(tmp_path)
    assert Record.find(tmp_path, EQCO, 4) is None
    assert Record.find(tmp_path, replace(EQCO, alpha=128.0), 3) is None
    assert Record.find(tmp_path / "nowhere", EQCO, 3) is None


def test_a_line_of_a_file_of_records_is_the_whole_record(tmp_path: Path, record: Record) -> None:
    path, other = tmp_path / "collected.jsonl", changed(record, seed=4)
    line = canonical(record.body())
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


DAMAGE: dict[str, tuple[Callable[[str], str], str]] = {
    "metric": (edit_metric, "does not match its checksum, it was edited"),
    "seed": (lambda text: text.replace('"seed": 3', '"seed": 4'), "does not match its checksum"),
    "checksum": (lambda text: text.replace('"checksum"', '"checked"'), "holds no record"),
    "NaN": (lambda text: text.replace("87.123456789", "NaN"), r"cannot be read \(it holds NaN"),
    "long": (
        lambda text: text.replace('"seed": 3', f'"seed": {"9" * 6000}'),
        "a number of 6000 digits",
    ),
    "half": (lambda text: text[: len(text) // 2], "cannot be read"),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_record_is_an_error_with_its_name(
    tmp_path: Path, record: Record, damage: str
) -> None:
    path, (edit, sentence) = record.write(tmp_path), DAMAGE[damage]
    path.write_text(edit(path.read_text()))
    for look in (lambda: Record.read(path), lambda: Record.find(tmp_path, EQCO, 3)):
        with pytest.raises(RecordError, match=f"record .*{path.name} .*{sentence}.*: move it away"):
            look()


def test_a_record_under_the_name_of_another_run_raises_an_error(
    tmp_path: Path, record: Record
) -> None:
    path = record.write(tmp_path)
    path.rename(record_path(tmp_path, EQCO, 4))
    with pytest.raises(RecordError, match=f"belongs to run {EQCO.run_id(3)}"):
        Record.find(tmp_path, EQCO, 4)


UNBELIEVABLE: dict[str, dict[str, Any]] = {
    "accuracy of 250": {"metrics": {"linear": 250.0}},
    "accuracy below 0": {"metrics": {"linear": -1e-9}},
    "accuracy as a truth": {"metrics": {"linear": True}},
    "metric with a strange name": {"metrics": {"a|b": 1.0}},
    "negative time": {"seconds": {"train": -1.0, "probe": 0.0}},
    "probability above 1": {"diagnostics": {"cv2": 1.0, "one_minus_pi0": 1.5}},
    "negative CV^2": {"diagnostics": {"cv2": -1.0, "one_minus_pi0": 0.5}},
    "more steps than losses": {"curve": {"step": [0, 1], "loss": [5.0]}},
    "curve of texts": {"curve": {"step": [0], "loss": ["5"]}},
    "curve that is a text": {"curve": {"step": "0", "loss": "5"}},
    "curve that goes back": {"curve": {"step": [5, 0], "loss": [1.0, 2.0]}},
    "another part of the curve": {"curve": {"step": [], "loss": [], "x": []}},
    "unknown field": {"accuracy": 99.0},
    "seed below 0": {"seed": -1},
    "numerics of 0": {"numerics": 0},
    "memory as a text": {"peak_memory_mib": "3"},
    "a day that does not exist": {"ended": "2026-02-30T12:00:00+00:00"},
    "note that is a list": {"note": []},
    "recipe of another name": {"recipe": asdict(Recipe(temperature=0.1))},
    "unknown method": {"recipe": {"method": "sim"}},
    "no recipe": {"recipe": None},
    "no name": {"run_id": None},
    "diagnostics without a part": {"diagnostics": {"one_minus_pi0": 0.5}},
    **{f"{name} as a list": {name: []} for name in ("metrics", "seconds", "machine", "curve")},
}
MACHINES: dict[str, dict[str, Any]] = {
    "device as a number": {"device": 3},
    "no threads": {"threads": 0},
    "threads as a text": {"threads": "1"},
    "versions as a text": {"versions": "torch"},
    "version as a number": {"versions": {"torch": 2}},
    "no processes": {"processes": 0},
    "dirty as a number": {"dirty": 1},
    "commit as a number": {"commit": 1},
    "unknown field of the machine": {"gpu": "x"},
}


@pytest.mark.parametrize("case", [*UNBELIEVABLE, *MACHINES])
def test_a_sealed_record_that_cannot_be_true_is_refused(
    case: str, record: Record, tmp_path: Path
) -> None:
    """A checksum can be made anew, so it does not say that the fields can be read."""
    body = record.body()
    change = UNBELIEVABLE.get(case) or {"machine": {**body["machine"], **MACHINES[case]}}
    path = record_path(tmp_path, record.recipe, record.seed)
    path.write_text(json.dumps({**body, **change, "checksum": checksum({**body, **change})}))
    with pytest.raises(RecordError, match=rf"{path.stem}.*(is not a|by another).*move it away"):
        Record.read(path)


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


# Names beside a checkpoint are of regular files of ours; cleaning up fails no run.


FOREIGN: dict[str, Callable[[Path, Path], None]] = {
    "link": Path.symlink_to,
    "pipe": lambda path, _: os.mkfifo(path),
    "folder": lambda path, _: path.mkdir(),
}


@pytest.mark.parametrize("kind", [*FOREIGN, "content"])
@pytest.mark.parametrize("ending", [".holder", ".lock"])
def test_nothing_is_written_where_somebody_else_has_the_name(
    ending: str, kind: str, tmp_path: Path
) -> None:
    own, victim = Run(RECIPE, 0, machine_in(tmp_path)), tmp_path / "victim"
    victim.write_text("kept")
    own.machine.checkpoints.mkdir()
    path = own.beside(ending)
    FOREIGN.get(kind, lambda path, _: path.write_bytes(b"\xff"))(path, victim)
    assert own.holder() == ""
    if (ending, kind) == (".holder", "content"):  # as a killed process leaves it
        own.check_free()
    else:
        with pytest.raises(TrainingError, match=rf"{ending}: exists and is not an? .*regular file"):
            own.check_free()
    assert victim.read_text() == "kept"


def test_a_holder_that_cannot_be_removed_is_a_warning(tmp_path: Path) -> None:
    own = Run(RECIPE, 0, machine_in(tmp_path))
    with warnings.catch_warnings(record=True) as caught, own.hold():
        warnings.simplefilter("error")
        holder = own.beside(".holder")
        holder.unlink()
        (holder / "full").mkdir(parents=True)
    assert "cannot be removed" in str(caught[0].message)
    assert Run(RECIPE, 1, machine_in(tmp_path)).check_free() is None


def test_the_holder_of_a_run_is_named_beside_its_lock(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine = machine_in(tmp_path)
    assert Run(RECIPE, 0, machine).holder() == ""
    for session, expected in (("", "none"), ("abc", "abc")):
        monkeypatch.setenv("EQCO_SESSION", session)
        with Run(RECIPE, 0, machine).hold():
            assert Run(RECIPE, 0, machine).holder() == expected
    assert Run(RECIPE, 0, machine).holder() == ""


def test_what_is_no_file_of_a_record_is_not_waited_for(tmp_path: Path) -> None:
    own = Run(RECIPE, 0, machine_in(tmp_path), tmp_path)
    os.mkfifo(own.record_file)
    with pytest.raises(RecordError, match="is no regular file: move it away"):
        own.record()


def test_a_damaged_record_is_an_error_where_nothing_is_run(tmp_path: Path) -> None:
    run = Run(RECIPE, 0, machine_in(tmp_path), tmp_path)
    session = session_of(run, policy="never", seeds=range(1))
    baseline = untrained(RECIPE)
    assert session.seeds_to_judge(RECIPE, baseline) == []
    run.record_file.write_text('{"a": 1}')
    with pytest.raises(RecordError, match="holds no record"):
        session.seeds_to_judge(RECIPE, baseline)
