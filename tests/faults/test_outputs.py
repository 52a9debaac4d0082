"""Outputs that are devices, pipes, closed or read by nobody."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from eqco.__main__ import main
from eqco.runtime.files import check_writable, write_atomically

pytestmark = pytest.mark.faults
LIST = [sys.executable, "-m", "eqco", "ls"]


def test_a_pipe_is_refused_and_stays(tmp_path: Path) -> None:
    """As /dev/null would: a device that is replaced by a file is lost to the whole machine."""
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(OSError, match="no regular file"):
        write_atomically(tmp_path / "pipe", "text")
    assert (tmp_path / "pipe").is_fifo()
    assert [each.name for each in tmp_path.iterdir()] == ["pipe"]
    write_atomically(tmp_path / "file", "one")
    write_atomically(tmp_path / "file", "two")
    assert (tmp_path / "file").read_text() == "two"


def test_a_file_in_place_of_a_folder_is_told_as_such(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("text")
    with pytest.raises(ValueError, match="cannot be written, it is a file"):
        check_writable(tmp_path / "file")


def test_a_closed_output_and_one_without_a_reader(
    tmp_path: Path, environment: dict[str, str]
) -> None:
    closed = subprocess.run(
        ["sh", "-c", '"$@" >&-', "sh", *LIST, str(tmp_path)],
        env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (closed.returncode, closed.stderr) == (0, "")
    read, write = os.pipe()
    os.close(read)
    unread = subprocess.run(
        [*LIST, str(tmp_path)], env=environment, stdout=write, stderr=subprocess.PIPE, text=True,
        check=False,
    )  # fmt: skip
    os.close(write)
    assert (unread.returncode, unread.stderr) == (141, "")


def test_a_damaged_record_is_counted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "x.json").write_text("[]")
    assert main(["ls", str(tmp_path)]) == 0
    text = capsys.readouterr().out
    assert "0 record(s) and 0 checkpoint(s)" in text
    assert "1 file(s) that are neither or are damaged" in text
