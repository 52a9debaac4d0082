"""A run of two processes of which one is killed on the way."""

from __future__ import annotations

import os
import signal
import subprocess

from eqco.artifacts.run_files import Run
from eqco.engine.launchers import torchrun_command
from tests.processes import start, wait_until


def start_and_kill_a_worker(order: Run) -> None:
    """Start a run under torchrun and send SIGKILL to one process after the first checkpoint."""
    command = torchrun_command(order.write_job(), 2)
    launched = start(*command[1:], stdout=subprocess.DEVNULL)
    wait_until(order.checkpoint.exists)
    workers = subprocess.run(
        ["pgrep", "-P", str(launched.pid)], capture_output=True, text=True, check=True
    ).stdout.split()
    os.kill(int(workers[-1]), signal.SIGKILL)
    assert launched.wait(timeout=120) != 0
    done = order.record()
    assert done is None, "the run ended before a worker was killed"
