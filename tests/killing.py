"""A run of two processes of which one is killed on the way."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from pathlib import Path

from eqco.artifacts.run_files import Run
from eqco.engine.launchers import torchrun_command

ROOT = Path(__file__).resolve().parents[1]


def start_and_kill_a_worker(order: Run, environment: dict[str, str]) -> None:
    """Start a run under torchrun and send SIGKILL to one process after the first checkpoint."""
    launched = subprocess.Popen(
        torchrun_command(order.write_job(), 2),
        cwd=ROOT, env=environment, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
    )  # fmt: skip
    path = order.checkpoint
    deadline = time.monotonic() + 120
    while not path.exists() and time.monotonic() < deadline:
        time.sleep(0.01)
    workers = subprocess.run(
        ["pgrep", "-P", str(launched.pid)], capture_output=True, text=True, check=True
    ).stdout.split()
    os.kill(int(workers[-1]), signal.SIGKILL)
    assert launched.wait(timeout=120) != 0
    done = order.record()
    assert done is None, "the run ended before a worker was killed"
