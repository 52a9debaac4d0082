"""Jobs of a SLURM cluster: what was submitted, and whether it still waits or runs."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from eqco.artifacts.run_files import Run
from eqco.runtime.files import read_json, write_atomically
from eqco.runtime.text import plain
from eqco.runtime.validation import TrainingError

# What a job knows of the cluster itself, rather than of the job that submits it.
OF_CLUSTER = ("SLURM_CONF", "SLURM_CONF_SERVER", "SLURM_JWT")


@contextmanager
def outside_of_a_job() -> Iterator[None]:
    """Hide the SLURM variables of the job that this process runs in from those it submits."""
    names = [n for n in os.environ if n.startswith("SLURM_") and n not in OF_CLUSTER]
    taken = {name: os.environ.pop(name) for name in names}
    try:
        yield
    finally:
        os.environ.update(taken)


NOTE = ".submitted.json"  # ending of the file that says by which job a run was submitted


def remember(run: Run, job: Any, cluster: str) -> None:
    """Note submitit's job of a run, so that the same command does not submit it again."""
    body = {"job": str(getattr(job, "job_id", "")), "cluster": cluster}
    write_atomically(run.beside(NOTE), json.dumps(body) + "\n")


def queue_state(run: Run) -> str:
    """State of a run's job, such as "PENDING"; "" where none waits or runs.

    Raises:
        TrainingError: a job was submitted, and the cluster does not tell what became of it.
    """
    note = run.beside(NOTE)
    try:
        submission = read_json(note)
        job, cluster = plain(str(submission["job"])), submission["cluster"]
    except (OSError, ValueError, KeyError, TypeError):  # none, or not ours
        return ""
    if cluster == "local":
        return "RUNNING" if is_alive(job) else ""
    try:
        words = ["squeue", "--noheader", "--format=%T", "--jobs", job]
        done = subprocess.run(words, capture_output=True, text=True, timeout=60, check=False)
        if not done.returncode or "Invalid job id" in done.stderr:  # ended some minutes ago
            return done.stdout.strip()
        why = plain(done.stderr.strip().partition("\n")[0])
    except (OSError, subprocess.SubprocessError) as error:
        why = str(error)
    raise TrainingError(
        f"{run.run_id} was submitted as job {job}, and squeue does not report its state ({why}): "
        f"try again, or move {note} away to submit it once more"
    )


def is_alive(process: str) -> bool:
    """Whether a process of this machine is there."""
    try:
        os.kill(int(process), 0)
    except (OSError, ValueError):
        return False
    return True
