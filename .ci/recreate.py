"""Reinstall the inner environment of tox together with the outer one: `tox -r -e tests`.

Called as `recreate.py NAME OUTER INNER` before the commands of an outer environment. A marker file
in each environment pairs them; `tox -r` removes the outer one only.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path


def main(name: str, outer: Path, inner: Path) -> int:
    """Install the inner environment where it must be; returns tox's status."""
    own, paired = outer / ".knows-suite", inner / f".known-to-{name}"
    again = ["-r"] if paired.exists() and not own.exists() else []  # the outer one is new
    if again or not inner.is_dir():
        words = [sys.executable, "-m", "tox", "run", "-q", *again, "-e", "suite", "--notest"]
        if status := subprocess.run(words, check=False).returncode:
            return status
    for marker in (own, paired):
        if marker.parent.is_dir():
            marker.touch()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3])))
