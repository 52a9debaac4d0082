"""Runs of a session in other processes: launched, submitted to a cluster, or written to files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from eqco.checks import TrainingError
from eqco.runs.checkpoint import check_free
from eqco.runs.launch import Order, by_slurm, by_torchrun
from eqco.runs.record import Record
from eqco.runs.run import Job
from reproductions.session import Session


def launched(session: Session, job: Job) -> Record | None:
    """Run a job in other processes: its record, or None where it was submitted to a cluster."""
    order = Order(job, session.machine, session.folder)
    if job.run_id in session.submitted:  # a row that tables share
        return None
    check_free(job.recipe, job.seed, session.machine)
    if session.launcher == "torchrun":
        return by_torchrun(order, session.processes, session.launcher_options)
    given = (word.split("=", 1) for word in session.launcher_options)
    parameters: dict[str, Any] = {n: int(v) if v.isdigit() else v for n, v in given}
    logs = session.machine.checkpoints / "slurm"
    submitted = by_slurm(order, session.processes, logs, **parameters)
    if parameters.get("cluster") == "local":
        return waited_for(submitted, order, logs)
    session.submitted.add(job.run_id)
    return None


def waited_for(submitted: Any, order: Order, logs: Path) -> Record | None:
    """The record of a job that submitit runs on this machine, when it has ended.

    Raises:
        TrainingError: it failed; the message names its log.
    """
    try:
        submitted.result()
    except Exception as error:  # submitit's own types, and those of what the job raised
        reason = str(error).strip().rpartition("\n")[2]
        raise TrainingError(
            f"the local job of {order.job.run_id} failed ({reason}): read {logs}/"
            f"{submitted.job_id}_0_log.err"
        ) from error
    return Record.find(order.folder, order.job.recipe, order.job.seed)


def write_job(session: Session, job: Job) -> None:
    """Write the job file of a run that is missing, once."""
    if job.run_id not in session.submitted:
        order = Order(job, session.machine, session.folder)
        session.job_files.append(order.write())
        session.submitted.add(job.run_id)
