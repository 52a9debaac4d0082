"""Files are written whole or not at all."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from unittest.mock import Mock

import pytest

from eqco.runtime.files import check_writable, write_atomically
from tests.processes import start


@pytest.mark.parametrize(
    ("function", "error"),
    [("fsync", OSError("full")), ("replace", OSError("full")), ("fsync", KeyboardInterrupt())],
    ids=repr,
)
def test_a_failed_write_leaves_the_old_file_and_nothing_else(
    function: str, error: BaseException, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "file.json"
    write_atomically(path, "old")

    monkeypatch.setattr(os, function, Mock(side_effect=error))
    with pytest.raises(type(error)):
        write_atomically(path, "new")
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


WRITER = """
import pathlib, sys
from eqco.runtime.files import write_atomically
print("ready", flush=True)
sys.stdin.readline()
for _ in range(60):
    write_atomically(pathlib.Path(sys.argv[1]), sys.argv[2] * 200_000)
"""


def test_a_reader_sees_whole_files_while_many_processes_write(tmp_path: Path) -> None:
    path = tmp_path / "records" / "one.json"
    write_atomically(path, "a" * 200_000)
    writers = [start("-c", WRITER, path, letter, stdin=subprocess.PIPE) for letter in "bcd"]
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


def test_text_is_written_as_utf_8_and_bytes_as_they_are(tmp_path: Path) -> None:
    path = tmp_path / "new" / "folder" / "one.bin"
    write_atomically(path, "α = 256\n")
    assert path.read_bytes() == "α = 256\n".encode()
    write_atomically(path, b"\0\xff")
    assert path.read_bytes() == b"\0\xff"


def test_a_folder_is_made_and_named_where_it_cannot_be_written(tmp_path: Path) -> None:
    check_writable(tmp_path / "new")
    assert list((tmp_path / "new").iterdir()) == []
    (tmp_path / "file").write_text("a file")
    for folder in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(ValueError, match=f"folder {folder} cannot be written"):
            check_writable(folder)
