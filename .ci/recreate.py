"""Reinstall the inner environment of tox together with the outer one: `tox -r -e tests`.

Called as `recreate.py NAME OUTER INNER` before the commands of an outer environment. A marker file
in each environment pairs them; `tox -r` removes the outer one only.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path


def must_recreate(name: str, outer: Path, inner: Path) -> bool:
    """Whether the outer environment is new, but the inner one was paired with an earlier one."""
    return (inner / f".known-to-{name}").exists() and not (outer / ".knows-suite").exists()


def remember(name: str, outer: Path, inner: Path) -> None:
    """Write the marker files."""
    for folder, file in ((inner, f".known-to-{name}"), (outer, ".knows-suite")):
        if folder.is_dir():
            (folder / file).touch()


def main(name: str, outer: Path, inner: Path) -> int:
    """Install the inner environment where it must be; returns tox's status."""
    status = 0
    again = ["-r"] if must_recreate(name, outer, inner) else []
    if again or not inner.is_dir():
        words = [sys.executable, "-m", "tox", "run", "-q", *again, "-e", "suite", "--notest"]
        status = subprocess.run(words, check=False).returncode
    if not status:
        remember(name, outer, inner)
    return status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3])))
