"""Names beside a checkpoint are of regular files of ours; cleaning up fails no run."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable
from pathlib import Path

import pytest

from eqco.artifacts.record import RecordError
from eqco.artifacts.run_files import Run
from eqco.engine.run import untrained
from eqco.runtime.validation import TrainingError
from tests.faults.damage import RECIPE, machine_in
from tests.reproductions.conftest import session_of

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
