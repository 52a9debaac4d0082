"""Processes that tests start in the root of the project, and waiting for what they do."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
# This tree is imported, one thread computes, and a pytest does not think it is pytest-xdist's.
ENVIRONMENT = {
    **{name: text for name, text in os.environ.items() if not name.startswith("PYTEST_XDIST")},
    "PYTHONPATH": str(ROOT),
    "OMP_NUM_THREADS": "1",
    "PYTHONUNBUFFERED": "1",
}


def python(
    *words: object, status: int = 0, folder: Path = ROOT, entered: str = "", **variables: str
) -> subprocess.CompletedProcess[str]:
    """Run this Python to the exit status expected; output, errors and what is entered are text."""
    done = subprocess.run(
        [sys.executable, *map(str, words)], cwd=folder, env={**ENVIRONMENT, **variables},
        input=entered, capture_output=True, text=True, check=False, timeout=600,
    )  # fmt: skip
    assert done.returncode == status, done.stdout[-3000:] + done.stderr[-3000:]
    return done


def start(*words: object, **changes: object) -> subprocess.Popen[str]:
    """Start this Python; what it prints is text, its errors among it."""
    options = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True, **changes}
    return subprocess.Popen(
        [sys.executable, *map(str, words)], cwd=ROOT, env=ENVIRONMENT, **options
    )  # type: ignore[call-overload, no-any-return]


@contextmanager
def lock_held(path: Path) -> Iterator[None]:
    """Another process holds a lock file; it is killed at the end."""
    program = "import sys, time, filelock\nwith filelock.FileLock(sys.argv[1]):\n"
    child = start("-c", f"{program}    print('held')\n    time.sleep(600)", path)
    try:
        assert child.stdout.readline() == "held\n"
        yield
    finally:
        child.kill()
        child.communicate()


def torchrun(*words: object) -> str:
    """Run a program of tests/programs with two processes; returns what they print."""
    launch = ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2")
    return python(*launch, "-m", *words).stdout


def wait_until(holds: Callable[[], object], seconds: float = 120.0) -> None:
    """Wait until something holds, and fail where it does not in time."""
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.02)
