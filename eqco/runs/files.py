"""Atomic writes, and folders that can be written."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import IO
from uuid import uuid4


def write_atomically(path: Path, content: str | Callable[[IO[bytes]], None]) -> None:
    """Write a file atomically: readers see either the old or the complete new file.

    Args:
        path: the file; its folder is made.
        content: text, or a function that writes to an open binary file.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{uuid4().hex[:8]}")
    try:
        with temporary.open("xb") as stream:  # its mode follows the umask
            if isinstance(content, str):
                stream.write(content.encode())
            else:
                content(stream)
            stream.flush()
            os.fsync(stream.fileno())
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def check_writable(folder: Path) -> None:
    """Make a folder, and raise ValueError where no file can be written into it."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=folder, prefix=".writable."):
            pass
    except OSError as error:
        raise ValueError(
            f"folder {folder} cannot be written ({error.strerror}): give another one, or the right "
            "to write there"
        ) from error
