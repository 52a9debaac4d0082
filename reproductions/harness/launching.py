"""Runs of a session in other processes: launched, submitted, written to files, or waited for."""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from eqco.artifacts.record import Record
from eqco.artifacts.run_files import Run
from eqco.engine.launchers import by_slurm, by_torchrun, check_processes
from eqco.engine.slurm import queue_state
from eqco.runtime.validation import TrainingError
from reproductions.harness.session import Session


def check_launcher(session: Session, jobs: Iterable[Run]) -> None:
    """Find what a launcher cannot do, once and before any run.

    Raises:
        ValueError: processes cannot share a run, or there is no cluster here.
    """
    on_this_machine = "cluster=local" in session.launcher_options
    if session.launcher == "slurm" and not on_this_machine and not shutil.which("srun"):
        raise ValueError(
            "--launcher slurm: this host has no srun: submit on a node of the cluster, or try the "
            "set-up here by --launcher-options cluster=local"
        )
    on_this_node = session.launcher == "torchrun" or on_this_machine
    for job in jobs if session.launcher != "here" else ():
        check_processes(job, session.processes, on_this_node=on_this_node)


def launched(session: Session, job: Run) -> Record | None:
    """Run a job in other processes: its record, or None where it was submitted to a cluster."""
    if job.run_id in session.submitted:  # a row that tables share
        return None
    if session.launcher == "torchrun":
        job.check_free()
        return by_torchrun(job, session.processes, session.launcher_options)
    pairs = (word.split("=", 1) for word in session.launcher_options)
    parameters: dict[str, Any] = {n: int(v) if v.isdigit() else v for n, v in pairs}
    logs = job.machine.checkpoints.resolve() / "slurm"
    submitted = None
    with job.hold():  # against the same command beside this one
        if not queue_state(job):  # else an earlier command submitted it
            submitted = by_slurm(job, session.processes, logs, **parameters)
    if submitted is not None and parameters.get("cluster") == "local":
        return waited_for(submitted, job, logs)
    session.submitted.add(job.run_id)
    return None


def waited_for(submitted: Any, job: Run, logs: Path) -> Record | None:
    """The record of a job that submitit runs on this machine, when it has ended.

    Raises:
        TrainingError: it failed; the message names its log.
    """
    try:
        submitted.result()
    except Exception as error:  # submitit's own types, and those of what the job raised
        reason = str(error).strip().rpartition("\n")[2]
        raise TrainingError(
            f"the local job of {job.run_id} failed ({reason}): read {logs}/"
            f"{submitted.job_id}_0_log.err"
        ) from error
    return job.record()


def write_job(session: Session, job: Run) -> None:
    """Write the job file of a run that is missing, once."""
    if job.run_id not in session.submitted:
        session.job_files.append(job.write_job())
        session.submitted.add(job.run_id)


def busy_line(session: Session) -> str:
    """What the closing lines say about runs of other processes; "" where there are none."""
    if not session.busy:
        return ""
    names = ", ".join(sorted(session.busy)[:3]) + (", ..." if len(session.busy) > 3 else "")
    runs = "1 run is" if len(session.busy) == 1 else f"{len(session.busy)} runs are"
    return f"{runs} being run by another process and not counted here: {names}"
