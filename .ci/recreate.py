"""Install the inner environment of tox anew where the outer one was: `tox -r -e tests`.

Called as `recreate.py NAME OUTER INNER` before the commands of an outer environment. A file in both
environments says that they know each other; `tox -r` empties the outer one alone.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path


def must_recreate(name: str, outer: Path, inner: Path) -> bool:
    """Whether the outer environment is new, and the inner one is not new to it."""
    return (inner / f".known-to-{name}").exists() and not (outer / ".knows-suite").exists()


def remember(name: str, outer: Path, inner: Path) -> None:
    """Let both environments know each other."""
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
