"""Kind 9: a record names a commit only where git tracks the package's own files."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from unittest.mock import Mock

import pytest
import torch

from eqco.artifacts import environment
from eqco.artifacts.environment import provenance, source
from eqco.artifacts.record import Record
from eqco.artifacts.record_schema import MACHINE
from eqco.cli.show import in_words
from eqco.config import Machine
from eqco.recipe import Recipe
from eqco.runtime.validation import Table
from reproductions.reports.html.runs import marks
from reproductions.results import compare
from tests.synthetic import changed, make_record


def git(folder: Path, *words: str) -> str:
    """Run git in a folder, as somebody."""
    who = ("-c", "user.name=a", "-c", "user.email=a@b.c", "-c", "commit.gpgsign=false")
    done = subprocess.run(
        ["git", *who, *words], cwd=folder, capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A package's folder inside a repository that tracks another file."""
    folder = tmp_path / "home" / "eqco"
    (folder / "runs").mkdir(parents=True)
    for name in ("__init__.py", "runs/record.py"):
        (folder / name).write_text("a = 1\n")
    (tmp_path / "home" / "other.py").write_text("b = 1\n")
    git(tmp_path / "home", "init", "-q")
    git(tmp_path / "home", "add", "other.py")
    git(tmp_path / "home", "commit", "-qm", "one")
    monkeypatch.setattr(environment, "PACKAGE", folder)
    yield folder
    source.cache_clear()


def test_tf32_is_told_of_a_gpu_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda: "NVIDIA none")
    machine = provenance(Machine(device="cuda"))
    assert machine["tf32"] == {"convolutions": True, "products": False}  # as torch has it
    Table(MACHINE).check("machine", machine)
    assert "tf32" not in provenance(Machine())


def commit_and_dirty() -> tuple[str | None, bool | None]:
    """Commit and dirty of a record that a process makes which starts now."""
    source.cache_clear()
    found = provenance(Machine())
    return found["commit"], found["dirty"]


def test_a_repository_around_a_copy_is_not_named(package: Path) -> None:
    assert commit_and_dirty() == (None, None)
    (package.parent / ".gitignore").write_text("eqco/\n")
    assert commit_and_dirty() == (None, None)


def test_the_commit_of_tracked_files_is_named_and_their_changes_are_seen(package: Path) -> None:
    git(package, "add", ".")
    git(package, "commit", "-qm", "two")
    head = git(package, "rev-parse", "HEAD")
    assert commit_and_dirty() == (head, False)
    (package.parent / "other.py").write_text("b = 2\n")  # not of the package
    assert commit_and_dirty() == (head, False)
    (package / "__init__.py").write_text("a = 2\n")  # above the folder of record.py
    assert source() == (head, False)  # of this process, which runs what it has imported
    assert commit_and_dirty() == (head, True)


def test_a_repository_named_in_the_environment_is_not_taken(
    package: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As in a hook of git, which runs with GIT_DIR."""
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "__init__.py").write_text("")
    git(elsewhere, "init", "-q")
    git(elsewhere, "add", ".")
    git(elsewhere, "commit", "-qm", "three")
    monkeypatch.setenv("GIT_DIR", str(elsewhere / ".git"))
    monkeypatch.setenv("GIT_WORK_TREE", str(elsewhere))
    assert commit_and_dirty() == (None, None)


def no_git(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    monkeypatch.setenv("PATH", str(folder))


def hanging_git(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    """A git that takes too long."""
    monkeypatch.setattr(subprocess, "run", Mock(side_effect=subprocess.TimeoutExpired("git", 10)))


def failing_status(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    """A git whose status alone fails, as with a damaged index."""
    script = folder / "git"
    script.write_text('#!/bin/sh\n[ "$1" = status ] && exit 128\necho abc\n')
    script.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")


@pytest.mark.parametrize(
    ("broken", "expected"),
    [(no_git, (None, None)), (hanging_git, (None, None)), (failing_status, ("abc", None))],
)
def test_where_git_does_not_answer_nothing_is_claimed(
    broken: Callable[[pytest.MonkeyPatch, Path], None],
    expected: tuple[str | None, bool | None],
    package: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    git(package, "add", ".")
    git(package, "commit", "-qm", "two")
    broken(monkeypatch, tmp_path)
    assert commit_and_dirty() == expected


def test_readers_take_a_record_without_a_commit(tmp_path: Path) -> None:
    known = make_record(Recipe(), 0, 80.0)
    without = changed(known, machine={**known.machine, "commit": None, "dirty": None})
    read = Record.read(without.write(tmp_path / "a"))
    known.write(tmp_path / "b")
    assert read.machine["commit"] is None
    assert "commit unknown" in "\n".join(in_words(read))
    assert marks(read) == ["of an unknown commit", read.note]
    lines = compare.compare(*(compare.read_runs(tmp_path / name) for name in "ab"))
    assert any(line.startswith("  commit: – |") for line in lines) or not known.machine["commit"]
