"""Kind 10: the machine is seen as it is, and nothing of a killed process stays on its disk."""

from __future__ import annotations

import os
import runpy
import subprocess
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import Mock

import pytest

from eqco.__main__ import main as eqco
from eqco.artifacts.environment import provenance
from eqco.artifacts.run_files import Run
from eqco.cli import parse
from eqco.config import Machine
from eqco.engine.run import run
from eqco.runtime import cpu
from eqco.runtime.files import remove_temporary, write_atomically
from eqco.runtime.validation import check_folder, home_expanded
from reproductions.__main__ import main, parser
from tests.faults.damage import RECIPE
from tests.processes import ROOT, python


def group(folder: Path, **files: str) -> None:
    """Write files of a control group."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (folder / name.replace("__", ".", 1)).write_text(text + "\n", encoding="ascii")


V1 = {"cpu__cfs_quota_us": "300000", "cpu__cfs_period_us": "100000"}
CGROUPS: dict[str, tuple[str, dict[str, dict[str, str]], int]] = {
    "version 2, own group": ("0::/a/b", {"a/b": {"cpu__max": "200000 100000"}}, 2),
    "version 2, a group above": (
        "0::/a/b",
        {"a": {"cpu__max": "100000 100000"}, "a/b": {"cpu__max": "max 100000"}}, 1,
    ),
    "version 2, the container's root": ("0::/", {"": {"cpu__max": "350000 100000"}}, 3),
    "version 1": ("3:cpu,cpuacct:/d", {"cpu,cpuacct/d": V1}, 3),
    "version 1, a path of the host": ("3:cpu,cpuacct:/docker/1f", {"cpu": V1}, 3),
    "version 1, no limit": ("3:cpu:/d", {"cpu/d": {**V1, "cpu__cfs_quota_us": "-1"}}, 8),
    "another controller": ("3:memory:/d", {"memory/d": V1}, 8),
    "less than a core": ("0::/", {"": {"cpu__max": "5000 100000"}}, 1),
    "more than the cores": ("0::/", {"": {"cpu__max": "9900000 100000"}}, 8),
    "an empty file": ("0::/", {"": {"cpu__max": ""}}, 8),
    "a period of 0": ("0::/", {"": {"cpu__max": "100000 0"}}, 8),
    "no groups": ("", {}, 8),
}  # fmt: skip


@pytest.mark.parametrize("case", CGROUPS)
def test_a_quota_is_found_wherever_the_group_is(
    case: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    line, folders, expected = CGROUPS[case]
    for name, files in folders.items():
        group(tmp_path / "fs" / name, **files)
    (tmp_path / "own").write_text(line)
    monkeypatch.setattr(cpu, "GROUPS", tmp_path / "fs")
    monkeypatch.setattr(cpu, "OWN_GROUPS", tmp_path / "own")
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)), raising=False)
    assert cpu.granted_cores() == expected
    assert provenance(Machine())["cores"] == expected


@pytest.mark.parametrize("mask", [0o002, 0o027, 0o077], ids=oct)
def test_files_of_a_run_follow_the_umask(mask: int, tmp_path: Path) -> None:
    machine = Machine(threads=1, checkpoints=tmp_path / "c")
    before = os.umask(mask)
    try:
        run(replace(RECIPE, epochs=1), 0, machine, tmp_path / "r")
    finally:
        os.umask(before)
    files = [file for file in tmp_path.rglob("*") if file.is_file()]
    assert {".pt", ".json"} <= {file.suffix for file in files}
    assert {file.stat().st_mode & 0o777 for file in files} == {0o666 & ~mask}


def strays(folder: Path, name: str) -> list[Path]:
    """Files as a kill -9 leaves them, of one run."""
    names = [f".{name}.new.pt.0123abcd", f".{name}.probe.new.pt.0123abcd"]
    for each in names:
        (folder / each).write_bytes(b"half")
    return [folder / each for each in names]


def test_the_holder_removes_what_its_run_left_and_nothing_else(tmp_path: Path) -> None:
    machine = Machine(threads=1, checkpoints=tmp_path / "c")
    records = tmp_path / "r"
    machine.checkpoints.mkdir()
    records.mkdir()
    recipe, other = replace(RECIPE, epochs=1), replace(RECIPE, epochs=1, learning_rate=0.1)
    own = strays(machine.checkpoints, recipe.run_id(1))
    own.append(records / f".{recipe.run_id(1)}.json.0123abcd")
    kept = strays(machine.checkpoints, other.run_id(1)) + strays(
        machine.checkpoints, recipe.run_id(10)
    )
    kept += [
        machine.checkpoints / f".{recipe.run_id(1)}.job.json.0123abcd",  # of who writes job files
        machine.checkpoints / f".{recipe.run_id(1)}.new.pt.backup",  # nobody's temporary file
        records / f".{recipe.run_id(10)}.json.0123abcd",
    ]
    for each in (own[-1], *kept[-3:]):
        each.write_bytes(b"half")
    assert run(recipe, 1, machine, records) is not None
    assert [each for each in own if each.exists()] == []
    assert [each for each in kept if not each.exists()] == []


def test_a_temporary_file_has_the_name_that_is_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a[bc].new.pt"  # no pattern
    (tmp_path / ".ab.new.pt.0123abcd").touch()

    monkeypatch.setattr(os, "replace", Mock(side_effect=SystemExit))  # in place of a kill -9
    monkeypatch.setattr(Path, "unlink", lambda *_, **__: None)
    with pytest.raises(SystemExit):
        write_atomically(path, "half")
    monkeypatch.undo()
    assert len(list(tmp_path.iterdir())) == 2
    remove_temporary(path)
    assert [each.name for each in tmp_path.iterdir()] == [".ab.new.pt.0123abcd"]


def test_force_color_writes_no_frames_into_a_file(tmp_path: Path) -> None:
    places = [f"--{name}={tmp_path / name}" for name in ("records", "checkpoints")]
    words = ["reproductions", "--scale=smoke", "-k", "test_cell and table1 and infonce and k4"]
    command = ("-m", "pytest", *words, "-p", "no:cacheprovider", *places)
    done = python(*command, FORCE_COLOR="1")
    assert "\x1b[" in done.stdout  # colours, as asked for
    assert "loading data" not in done.stdout
    assert "\x1b[K" not in done.stdout  # a line that is written over
    assert "━" not in done.stdout.partition("Table 1")[0]


def test_tilde_behind_an_equals_sign_is_the_home_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    for words in (
        ["plan", "--records=~/x", "--checkpoints=~/x"],
        ["report", "--records=~/x", "--out=~/x"],
        ["throughput", "--data=part:~/x", "--out=~/x"],
    ):
        given = vars(parser().parse_args(words))
        names = {word[2:].partition("=")[0] for word in words[1:]} - {"data"}
        assert {given[name] for name in names} == {tmp_path / "x"}
    assert parse(["ls", "~/x"]).folder == tmp_path / "x"
    assert parse(["train", "--data=~/x", "--checkpoints=~/x"]).checkpoints == tmp_path / "x"
    assert Machine(checkpoints=Path("~/x")).checkpoints == tmp_path / "x"
    order = Run(RECIPE, 0, Machine(checkpoints=tmp_path), Path("~/r"))
    assert check_folder("folder", "~/r") == tmp_path / "r"
    assert order.machine.checkpoints == tmp_path


def test_what_is_no_path_is_one_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ValueError, match=r": no such user; write \./~NAME"):
        home_expanded("~no_such_user_here/x")
    for command, words in (
        (eqco, ["ls", "~no_such_user_here/x"]), (eqco, ["show", "a\0b"]), (eqco, ["ls", " "]),
        (main, ["plan", "--records=~no_such_user_here/x"]), (main, ["plan", "--records= "]),
    ):  # fmt: skip
        with pytest.raises(SystemExit, match="2"):
            command(words)
        assert "error: " in capsys.readouterr().err.splitlines()[-1]


def test_tox_r_installs_the_inner_environment_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Folders in place of environments; `tox -r` empties the outer one."""
    main, calls = runpy.run_path(str(ROOT / ".ci" / "recreate.py"))["main"], []
    inner, outer = tmp_path / "suite", {name: tmp_path / name for name in ("tests", "table1")}

    def tox(words: list[str], check: bool) -> Any:
        calls.append("-r" in words)
        for file in inner.glob(".*"):
            file.unlink()
        inner.mkdir(exist_ok=True)
        return SimpleNamespace(returncode=0)

    monkeypatch.setattr(subprocess, "run", tox)
    for folder in outer.values():
        folder.mkdir()

    def call(name: str) -> list[bool]:
        calls.clear()
        assert main(name, outer[name], inner) == 0
        return list(calls)

    assert call("tests") == [False]  # installed
    assert call("tests") == []
    assert call("table1") == []  # another command uses the same one
    for file in outer["table1"].iterdir():  # tox -r -e table1
        file.unlink()
    assert call("table1") == [True]
    assert call("table1") == call("tests") == []
