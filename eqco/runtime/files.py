"""Atomic writes, locks, and folders that can be written."""

from __future__ import annotations

import errno
import glob
import json
import os
import stat
import tempfile
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from uuid import uuid4

from filelock import FileLock


def write_atomically(path: Path, content: str | bytes) -> None:
    """Write a file atomically: readers see either the old or the complete new file.

    Args:
        path: the file; its folder is made.
        content: text, written as UTF-8, or bytes.

    Raises:
        OSError: the system refuses it, as on a full disk, or `path` is a device or a folder;
            it names `path`.
    """
    if path.exists() and not path.is_file():  # a device or a pipe would be replaced by a file
        raise OSError(errno.EINVAL, "exists and is not a regular file", str(path))
    if isinstance(content, str):
        content = content.encode(errors="backslashreplace")
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{uuid4().hex[:8]}")
    try:
        with temporary.open("xb") as stream:  # its mode follows the umask
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        os.replace(temporary, path)
    except BaseException as error:
        temporary.unlink(missing_ok=True)
        if isinstance(error, OSError) and error.errno:
            raise OSError(error.errno, error.strerror, str(path)) from error
        raise


# Endings of files that no command reads as one of a folder.
TABLES = (".csv", ".html", ".md", ".npy", ".npz", ".parquet", ".tex", ".txt")


def check_apart(out: Path, inputs: Iterable[Path]) -> None:
    """Raise ValueError where a file to write is one of the inputs or in a folder of them.

    A link to an input is one too.
    """
    if not out.is_file():
        return
    place = out.resolve()
    for path in inputs:
        inside = path.is_dir() and place.is_relative_to(path.resolve())
        if (inside and place.suffix not in TABLES) or (path.is_file() and path.samefile(out)):
            raise ValueError(f"{out} is read from {path} and would be lost: write to another file")


def check_regular(path: Path, *, empty: bool = False) -> None:
    """Raise OSError where a path exists and is no regular file, or no empty one."""
    try:
        status = path.lstat()
    except FileNotFoundError:
        return
    if not stat.S_ISREG(status.st_mode) or (empty and status.st_size):
        what = "an empty regular file" if empty else "a regular file"
        raise OSError(errno.EINVAL, f"exists and is not {what}, move it away", str(path))


def remove(path: Path) -> None:
    """Remove a file that is of no more use; a warning, never an error, where that is refused."""
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        with warnings.catch_warnings():
            warnings.simplefilter("always")  # the work is done, whatever the user's filter
            warnings.warn(f"{path} cannot be removed ({error.strerror})", stacklevel=2)


def whole_number(digits: str) -> int:
    """A whole number of JSON, or ValueError where it is too long for Python to read."""
    try:
        return int(digits)
    except ValueError as error:
        raise ValueError(f"it holds a number of {len(digits.lstrip('-'))} digits") from error


def read_json(path: Path) -> Any:
    """What a JSON file holds; OSError, or the ValueError of `parse_json`, where there is none."""
    return parse_json(path.read_text(encoding="utf-8"))


def parse_json(text: str, **options: Any) -> Any:
    """What a JSON text holds; `options` are those of `json.loads`.

    Raises:
        ValueError: it is no JSON, nested too deeply, or has a number of thousands of digits.
    """
    try:
        return json.loads(text, parse_int=whole_number, **options)
    except RecursionError as error:
        raise ValueError("its brackets are nested too deeply") from error


TOKEN = "[0-9a-f]" * 8  # ends the name of a temporary file


def remove_temporary(*paths: Path) -> None:
    """Remove what killed processes left of writing these files; nobody else may write them now."""
    for path in paths:
        for stray in path.parent.glob(f".{glob.escape(path.name)}.{TOKEN}"):
            with suppress(OSError):  # another disk than it was, or just removed
                stray.unlink()


def check_writable(folder: Path) -> None:
    """Make a folder, and write a file as results are written later: twice, renamed, removed.

    Raises:
        ValueError: one of these steps is refused, as by some network disks.
    """
    if folder.exists() and not folder.is_dir():
        raise ValueError(f"folder {folder} cannot be written, it is a file: give another one")
    probe = folder / f".writable.{uuid4().hex[:8]}"
    try:
        for _ in range(2):  # the second time, it replaces a file
            write_atomically(probe, "probe\n")
        os.replace(probe, probe.with_suffix(".renamed"))
        probe.with_suffix(".renamed").unlink()
    except OSError as error:
        raise ValueError(
            f"folder {folder} cannot be written ({error.strerror}): give another one, or the right "
            "to write there"
        ) from error


def check_locks(folder: Path) -> None:
    """Raise ValueError where the disk of a folder, which can be written, has no file locks.

    The file that is locked is new, so that nobody else can hold its lock.
    """
    try:
        import fcntl
    except ImportError:  # Windows locks files of every disk
        return
    with tempfile.NamedTemporaryFile(dir=folder, prefix=".lock.") as stream:
        try:
            fcntl.flock(stream.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise ValueError(
                f"the disk of {folder} has no file locks ({error.strerror or error}), which keep "
                "two processes from one run: use a folder on another disk"
            ) from error


@contextmanager
def locked_folder(folder: Path) -> Iterator[None]:
    """Keep other processes that call this on the same folder waiting.

    Raises:
        ValueError: the folder cannot be written, or its disk has no file locks.
        OSError: see `check_regular`.
    """
    check_writable(folder)
    check_locks(folder)
    check_regular(folder / ".lock", empty=True)
    with FileLock(folder / ".lock"):
        yield
