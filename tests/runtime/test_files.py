"""Files are written whole or not at all."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from eqco.runtime.files import check_writable, write_atomically
from tests.processes import start


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


def test_a_reader_sees_whole_files_while_many_processes_write(tmp_path: Path) -> None:
    path = tmp_path / "records" / "one.json"
    write_atomically(path, "a" * 200_000)
    writers = [
        start("-m", "tests.programs.write_file", path, letter, stdin=subprocess.PIPE)
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


@pytest.fixture
def umask() -> Iterator[None]:
    """Files of this process are neither written by the group nor read by others."""
    before = os.umask(0o027)
    yield
    os.umask(before)


@pytest.mark.usefixtures("umask")
def test_the_mode_of_a_file_follows_the_umask(tmp_path: Path) -> None:
    path = tmp_path / "one.json"
    write_atomically(path, "text")
    assert path.stat().st_mode & 0o777 == 0o640
    os.umask(0o022)
    write_atomically(path, "text")
    assert path.stat().st_mode & 0o777 == 0o644


def test_text_is_written_as_utf_8_and_bytes_as_they_are(tmp_path: Path) -> None:
    path = tmp_path / "new" / "folder" / "one.bin"
    write_atomically(path, "α = 256\n")
    assert path.read_bytes() == "α = 256\n".encode()
    write_atomically(path, b"\0\xff")
    assert path.read_bytes() == b"\0\xff"


def test_an_interrupted_write_leaves_the_old_file_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "one.bin"
    write_atomically(path, "old")

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", interrupt)
    with pytest.raises(KeyboardInterrupt):
        write_atomically(path, b"new")
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_writable_folder_is_made_and_left_empty(tmp_path: Path) -> None:
    folder = tmp_path / "a" / "b"
    check_writable(folder)
    assert list(folder.iterdir()) == []


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("a file")
    for folder in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(ValueError, match=f"folder {folder} cannot be written"):
            check_writable(folder)
