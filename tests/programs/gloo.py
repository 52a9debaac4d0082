"""Run a program and fail where it leaves threads of gloo, which can abort the exit of Python.

Usage, behind torchrun: -m tests.programs.gloo PROGRAM.py
"""

import runpy
import sys
from pathlib import Path


def check_ended() -> None:
    """Raise AssertionError where threads of gloo still run; sees them on Linux only."""
    names = [each.read_text().strip() for each in Path("/proc/self/task").glob("*/comm")]
    left = [name for name in names if "gloo" in name]
    assert not left, f"threads that still run can abort the process at its end: {left}"


if __name__ == "__main__":
    kept = runpy.run_path(sys.argv[1], run_name="__main__")  # its globals live, as at its own end
    check_ended()
