"""A run of two processes of which one is killed on the way."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from pathlib import Path

from eqco.artifacts.checkpoint import checkpoint_path
from eqco.artifacts.record import Record
from eqco.engine.launchers import Order, torchrun_command

ROOT = Path(__file__).resolve().parents[1]


def start_and_kill_a_worker(order: Order, environment: dict[str, str]) -> None:
    """Start a run under torchrun and send SIGKILL to one process after the first checkpoint."""
    launched = subprocess.Popen(
        torchrun_command(order.write(), 2),
        cwd=ROOT, env=environment, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
    )  # fmt: skip
    path = checkpoint_path(order.job.recipe, order.job.seed, order.machine)
    deadline = time.monotonic() + 120
    while not path.exists() and time.monotonic() < deadline:
        time.sleep(0.01)
    workers = subprocess.run(
        ["pgrep", "-P", str(launched.pid)], capture_output=True, text=True, check=True
    ).stdout.split()
    os.kill(int(workers[-1]), signal.SIGKILL)
    assert launched.wait(timeout=120) != 0
    done = Record.find(order.folder, order.job.recipe, order.job.seed)
    assert done is None, "the run ended before a worker was killed"
