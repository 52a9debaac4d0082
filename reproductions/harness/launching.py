"""Runs of a session in other processes: launched, submitted to a cluster, or written to files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from eqco.artifacts.checkpoint import check_free, hold
from eqco.artifacts.record import Record
from eqco.engine.launchers import Order, by_slurm, by_torchrun
from eqco.engine.run import Job
from eqco.engine.slurm import queue_state
from eqco.runtime.validation import TrainingError
from reproductions.harness.session import Session


def launched(session: Session, job: Job) -> Record | None:
    """Run a job in other processes: its record, or None where it was submitted to a cluster."""
    order = Order(job, session.machine, session.folder).absolute()
    if job.run_id in session.submitted:  # a row that tables share
        return None
    if session.launcher == "torchrun":
        check_free(job.recipe, job.seed, session.machine)
        return by_torchrun(order, session.processes, session.launcher_options)
    given = (word.split("=", 1) for word in session.launcher_options)
    parameters: dict[str, Any] = {n: int(v) if v.isdigit() else v for n, v in given}
    logs = order.machine.checkpoints / "slurm"
    with hold(job.recipe, job.seed, session.machine):  # against the same command beside this one
        submitted = submit(session, order, logs, parameters)
    if submitted is not None and parameters.get("cluster") == "local":
        return waited_for(submitted, order, logs)
    session.submitted.add(job.run_id)
    return None


def submit(session: Session, order: Order, logs: Path, parameters: dict[str, Any]) -> Any:
    """Submit a job; None where an earlier command did, and it waits or runs on the cluster."""
    if queue_state(order.machine.checkpoints, order.job.run_id):
        return None
    return by_slurm(order, session.processes, logs, **parameters)


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
