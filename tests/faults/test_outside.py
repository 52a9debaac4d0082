"""User and system errors are one sentence in every command."""

from __future__ import annotations

import errno
import io
import os
import resource
import subprocess
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmark.__main__ import read_section
from eqco.artifacts.checkpoint import earlier, read, write_tensors
from eqco.artifacts.record import Record
from eqco.artifacts.run_files import Run
from eqco.cli.errors import run_cli
from eqco.runtime.files import write_atomically
from eqco.runtime.text import ascii_lookalike, escape_unencodable
from figures import style
from reproductions.experiments.plan import price_from_measurement
from tests.conftest import Command
from tests.faults.damage import train
from tests.processes import python

USER_ERRORS: list[tuple[BaseException, str]] = [
    (OSError(errno.ENOSPC, "No space left on device", "x"), "error: x: No space left on device"),
    (PermissionError(errno.EACCES, "Permission denied", "y"), "error: y: Permission denied"),
    (UnicodeEncodeError("ascii", "\xe9", 0, 1, "bad"), "error: 'ascii' codec can't encode"),
    (MemoryError(), "error: out of memory"),
    (
        RuntimeError("can't allocate memory: tried to allocate 9 bytes"),
        "error: out of memory: torch",
    ),
    (UserWarning("told"), "error: told"),
    (RuntimeError("first"), "error: first"),
    (ModuleNotFoundError(name="nothing"), "error: nothing is not installed"),
    (KeyboardInterrupt(), "stopped by SIGINT"),
]


@pytest.mark.parametrize(("error", "sentence"), USER_ERRORS, ids=lambda each: type(each).__name__)
def test_a_failure_outside_is_one_sentence_and_a_status(
    error: BaseException, sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    status = run_cli(Mock(side_effect=error))
    assert status == (130 if isinstance(error, KeyboardInterrupt) else 2)
    text = capsys.readouterr().err
    assert text.startswith(sentence)
    assert text.count("\n") == 1


def test_a_fault_of_the_suite_keeps_its_traceback() -> None:
    with pytest.raises(AttributeError):
        run_cli(Mock(side_effect=AttributeError("ours")))


def encoded(text: str, encoding: str) -> str:
    """What a stream of an encoding gets of a text."""
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding=encoding)
    escape_unencodable(stream)
    stream.write(text)
    stream.flush()
    return raw.getvalue().decode(encoding)


@settings(max_examples=100, deadline=None)
@given(text=st.text(), encoding=st.sampled_from(["ascii", "latin-1", "utf-8", "cp1252"]))
def test_any_text_can_be_written(text: str, encoding: str) -> None:
    line = text.replace("\n", "").replace("\r", "")
    written = encoded(line, encoding)
    assert "\n" not in written
    assert written == line or not text.isascii()


def test_a_table_keeps_its_columns_on_ascii() -> None:
    lines = ["  K   ┃ Δ base ", "╶──────────────", " 16 │ 86.1 ± 0.3", " 4  │ –  ≥ 0.1 √"]
    written = [encoded(line, "ascii") for line in lines]
    assert [len(line) for line in written] == [len(line) for line in lines]
    assert written[2] == " 16 | 86.1 +-0.3"
    assert encoded("caf\udce9.JPEG", "utf-8") == r"caf\xe9.JPEG"
    assert ascii_lookalike("中") == r"\u4e2d"
    assert "".join(map(ascii_lookalike, "▁▂▃▄▅▆▇█")) == "_.-:=+*#"  # a curve still rises


COMMANDS = {
    "reproductions": ["-m", "reproductions", "tables"],
    "figures": ["-m", "figures.alpha"],
    "eqco": ["-m", "eqco", "ls", "figures/out"],
}


@pytest.mark.long
@pytest.mark.parametrize("name", COMMANDS)
def test_a_full_disk_behind_stdout_is_one_sentence(name: str, tmp_path: Path) -> None:
    with open("/dev/full", "w", encoding="utf-8") as full:
        more = ["--out", str(tmp_path)] if name == "figures" else []
        done = subprocess.run(
            [sys.executable, *COMMANDS[name], *more],
            stdout=full, stderr=subprocess.PIPE, text=True, check=False,
        )  # fmt: skip
    assert done.returncode == 2
    assert done.stderr == "error: No space left on device\n"


@pytest.mark.long
def test_the_closing_table_stays_a_table_on_an_ascii_terminal() -> None:
    words = ["-q", "-p", "no:xdist", "-k", "table1", "--seeds=1", "--run=never"]
    records = "--records=reproductions/records"
    done = python("-m", "pytest", "reproductions", *words, records, PYTHONIOENCODING="ascii")
    assert done.stdout.isascii()
    lines = done.stdout.splitlines()
    assert any(line.startswith("Table 1 (simo) at scale glyphs") for line in lines)
    assert max(map(len, lines)) < 200
    assert not any("\\u" in line for line in lines)


HOSTILE = [
    "[" * 200_000, '{"a":' * 200_000, "[" * 900, '{"a": 1e999}', '{"a": NaN}', '"\\ud800"',
    "9" * 5000, "\xff", "", "null",
]  # fmt: skip
READERS: list[Callable[[Path], Any]] = [
    Record.read,
    Run.read_job,
    price_from_measurement,
    read_section,
]


@pytest.mark.parametrize("content", HOSTILE, ids=lambda text: f"{text[:6]!r}x{len(text)}")
@pytest.mark.parametrize("reader", READERS, ids=["record", "job", "throughput", "benchmark"])
def test_hostile_json_is_one_sentence_with_its_path(
    reader: Callable[[Path], Any], content: str, tmp_path: Path
) -> None:
    path = tmp_path / "hostile.json"
    path.write_text(content, encoding="latin-1")
    with pytest.raises(ValueError, match=r"hostile\.json") as got:
        reader(path)
    assert "\n" not in str(got.value)
    assert len(str(got.value)) < 500


@pytest.fixture
def small_files() -> Any:
    """No file may grow beyond 64 KiB, as on a disk that is full."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (65_536, before[1]))

    yield limit
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize(
    ("write", "content"),
    [(write_atomically, "x" * 400_000), (write_tensors, {"a": torch.zeros(100_000)})],
    ids=["text", "torch"],
)
def test_a_full_disk_leaves_the_old_file_and_names_it(
    write: Callable[..., None], content: Any, tmp_path: Path, small_files: Callable[[], None]
) -> None:
    path = tmp_path / "kept"
    path.write_text("old")
    small_files()
    with pytest.raises(OSError, match="File too large") as got:
        write(path, content)
    assert got.value.filename == str(path)
    assert [each.name for each in tmp_path.iterdir()] == ["kept"]
    assert path.read_text() == "old"


def test_a_full_disk_does_not_cut_a_figure(
    tmp_path: Path, small_files: Callable[[], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    figure = style.plt.figure()
    figure.add_subplot().imshow(torch.rand(300, 300))
    for ending in style.PICTURES:
        (tmp_path / f"f.{ending}").write_text("old")
    monkeypatch.setitem(style.PICTURES["png"], "dpi", 600)
    small_files()
    with pytest.raises(OSError, match="File too large"):
        style.save(figure, "f", tmp_path)
    assert {each.read_text() for each in tmp_path.iterdir()} == {"old"}


@pytest.mark.parametrize("end", [5, pytest.param(None, marks=pytest.mark.long)])
def test_a_full_disk_does_not_end_a_training(
    end: int | None, tmp_path: Path, small_files: Callable[[], None]
) -> None:
    path = train(tmp_path, until=3)
    kept = read(path, "step")["step"]
    small_files()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        train(tmp_path, until=end)
    sentences = [str(warning.message) for warning in caught]
    sentences = [sentence for sentence in sentences if "cannot be written" in sentence]
    assert "(File too large), the earlier one is kept: training goes on" in sentences[0]
    assert end or "the work goes on without it" in sentences[-1]
    assert read(path, "step")["step"] == kept
    assert earlier(path).exists()


# Outputs that are pipes, closed or read by nobody.


def test_a_pipe_is_refused_and_stays(tmp_path: Path) -> None:
    """As /dev/null would: a device that is replaced by a file is lost to the whole machine."""
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(OSError, match="not a regular file"):
        write_atomically(tmp_path / "pipe", "text")
    assert (tmp_path / "pipe").is_fifo()
    assert [each.name for each in tmp_path.iterdir()] == ["pipe"]
    write_atomically(tmp_path / "file", "one")
    write_atomically(tmp_path / "file", "two")
    assert (tmp_path / "file").read_text() == "two"


def test_a_closed_output_and_one_without_a_reader(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "eqco", "ls", str(tmp_path)]
    closed = subprocess.run(["sh", "-c", '"$@" >&-', "sh", *command], stderr=subprocess.PIPE)
    assert (closed.returncode, closed.stderr) == (0, b"")
    read, write = os.pipe()
    os.close(read)
    unread = subprocess.run(command, stdout=write, stderr=subprocess.PIPE)
    os.close(write)
    assert (unread.returncode, unread.stderr) == (141, b"")


def test_a_damaged_record_is_counted(tmp_path: Path, run_eqco: Command) -> None:
    (tmp_path / "x.json").write_text("[]")
    text = run_eqco("ls", tmp_path)
    assert "0 record(s) and 0 checkpoint(s)" in text
    assert "1 file(s) that are neither or are damaged" in text
