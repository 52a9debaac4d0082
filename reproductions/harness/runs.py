"""Runs that a session makes: one for a test that needs its record, or several at once before."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from typing import NoReturn

import pytest

from eqco.artifacts.record import Record
from eqco.artifacts.run_files import SESSION as LOCK_SESSION
from eqco.artifacts.run_files import Busy, Run
from eqco.engine.run import untrained
from eqco.recipe import Recipe
from eqco.runtime.text import plain
from eqco.runtime.validation import TrainingError
from reproductions.experiments.pool import Lines, OneLine, work_in_parallel
from reproductions.harness.display import Display
from reproductions.harness.launching import launched, write_job
from reproductions.harness.session import Session

PAUSE = 0.2  # seconds before a run that another process of this session holds is tried again
PATIENCE = 50  # tries while nobody says that he holds it
Train = Callable[[Recipe, int], Record | None]


def train_or_launch(session: Session, display: Display, job: Run) -> Record | None:
    """The record of a job that is trained now; None where it was submitted to a cluster.

    A cluster does every run: this host may have no GPU. torchrun does not share the probe of
    an untrained encoder on images in memory.
    """
    shared = job.recipe.epochs or job.recipe.from_files
    if session.launcher == "slurm" or (session.launcher == "torchrun" and shared):
        with display.uncaptured():
            return launched(session, job)
    return display.train(session, job)


def obtain_record(session: Session, display: Display, job: Run, test: pytest.Item) -> Record | None:
    """The record of a job under the --run policy; a missing one is trained.

    None where the job was submitted to a cluster or written to a file: its record comes later.
    """
    record = session.records.find(job.recipe, job.seed)
    if record is not None and (session.policy != "always" or job.run_id in session.fresh):
        return record
    if job.run_id in session.failed:
        raise TrainingError(session.failed[job.run_id])
    if session.write_jobs:
        write_job(session, job)
        return None
    own, unnamed = os.environ.get(LOCK_SESSION), 0
    while True:
        try:
            return train_or_launch(session, display, job)
        except Busy as error:
            holder = job.holder()  # "" while it is just taking or leaving the run
            unnamed = 0 if holder else unnamed + 1
            if not own or holder not in ("", own) or unnamed > PATIENCE:
                give_up(session, test, job, error)
            time.sleep(PAUSE)


def give_up(session: Session, test: pytest.Item, job: Run, error: Busy) -> NoReturn:
    """Skip a test whose run another process holds; fail where --strict-busy asks for it."""
    test.user_properties.append(("busy", job.run_id))
    if session.strict_busy:
        pytest.fail(plain(str(error)), pytrace=False)
    pytest.skip(plain(str(error)))


def is_cell(item: pytest.Item) -> bool:
    """Whether a test is of a row of a table."""
    return "row" in getattr(getattr(item, "callspec", None), "params", {})


def selected_recipes(session: Session, items: Sequence[pytest.Item]) -> list[Recipe]:
    """Recipes of the selected cells, each once."""
    rows = [item.callspec.params["row"] for item in items if is_cell(item)]  # type: ignore[attr-defined]
    recipes = (session.table(number).row(name).recipe for number, name in rows)
    return list(dict.fromkeys(recipes))


def missing_jobs(session: Session, items: Sequence[pytest.Item]) -> list[Run]:
    """Runs that selected cells need and that this session makes itself, each once."""
    recipes = [*selected_recipes(session, items), untrained(session.base)]
    pairs = [(recipe, seed) for seed in session.seeds for recipe in recipes]
    again = session.policy == "always"
    return [session.run(*pair) for pair in pairs if again or not session.records.has(*pair)]


def makes_several(session: Session) -> bool:
    """Whether several runs are made at once in processes of this machine."""
    local = session.launcher == "here" and not session.write_jobs
    return local and session.jobs > 1 and session.policy != "never"


def make_missing(session: Session, config: pytest.Config, items: Sequence[pytest.Item]) -> None:
    """Make the missing runs of the selected cells, several at once."""
    if config.option.collectonly or hasattr(config, "workerinput") or not makes_several(session):
        return
    jobs = missing_jobs(session, items)
    if len(jobs) < 2 or not any(map(is_cell, items)):
        return
    display = Display(config)
    show = (OneLine if display.visible else Lines)(len(jobs))
    again = session.policy == "always"
    with display.uncaptured():
        print(f"\n{len(jobs)} runs, {min(session.jobs, len(jobs))} at once")
        try:
            for status in work_in_parallel(jobs, session.jobs, show, again=again):
                print(f"a process ended with status {status}: tests make its runs")
        finally:
            print("\r\x1b[K" if display.visible else "", end="", flush=True)
    session.failed = show.failed
    session.fresh = show.done
