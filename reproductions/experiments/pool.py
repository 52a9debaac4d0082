"""Runs in several processes at once, of one thread each.

On a CPU, a run of one thread on each core finishes more runs an hour than one on all cores. Each
process takes the next run that is missing; what it does goes to the first process as messages.
"""

from __future__ import annotations

import multiprocessing
import os
import shutil
import signal
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from typing import Any, cast

from eqco.artifacts.run_files import Busy, Run
from eqco.data.dataloader import without_main
from eqco.engine.progress import Progress, duration
from eqco.engine.run import run
from eqco.runtime.signals import Stopped, catching, signals_blocked, unblock_signals
from eqco.runtime.text import plain
from reproductions.results.records import Records

DONE, FAILED, STEP, BUSY, STOPPED = "done", "failed", "step", "busy", "stopped"
SECOND = 1.0  # between two messages on the steps of a run


@dataclass(frozen=True)
class Message:
    """A message of a worker process about a run.

    Attributes:
        state: one of the words above.
        run_id: of the run; "" where the process itself was stopped.
        text: accuracy and time, the error, or the sentence on the signal.
        share: of the steps that are done, from 0 to 1.
    """

    state: str
    run_id: str
    text: str = ""
    share: float = 0.0


Show = Callable[[Message], None]


def missing(jobs: Sequence[Run]) -> list[Run]:
    """Jobs without a record in their folder."""
    records = {job.folder: Records(job.folder) for job in jobs}
    return [job for job in jobs if records[job.folder].find(job.recipe, job.seed) is None]


def steps(run_id: str, show: Show) -> Progress:
    """A progress that shows the share of steps once a second."""
    last = 0.0

    def progress(stage: str, step: int, total: int, loss: float) -> None:
        nonlocal last
        if time.monotonic() - last >= SECOND:
            last = time.monotonic()
            show(Message(STEP, run_id, stage, step / max(total, 1)))

    return progress


def work(jobs: Iterator[Run], show: Show, *, again: bool = False) -> None:
    """Do runs that have no record, or all of them `again`, but for those of other processes."""
    for job in jobs:
        if not again and not missing([job]):
            continue
        try:
            done = run(*job, steps(job.run_id, show), again=again)
        except Busy as error:
            show(Message(BUSY, job.run_id, str(error)))
        except (ValueError, RuntimeError, OSError) as error:
            show(Message(FAILED, job.run_id, plain(str(error))))
        else:
            assert done is not None
            accuracy, seconds = done.metrics["linear"], done.seconds["wall"]
            show(Message(DONE, job.run_id, f"linear {accuracy:.2f} %  {seconds:.0f} s"))


def worker(jobs: Sequence[Run], counter: Any, connection: Connection, again: bool) -> None:
    """`work` of a process; a signal ends it with 128 + its number, its run saved."""

    def next_jobs() -> Iterator[Run]:
        parent = multiprocessing.parent_process()
        while parent is None or parent.is_alive():
            with counter.get_lock():
                place = counter.value
                counter.value += 1
            if place >= len(jobs):
                return
            yield jobs[place]

    try:
        with catching():
            unblock_signals()
            work(next_jobs(), connection.send, again=again)
    except Stopped as stop:
        connection.send(Message(STOPPED, "", stop.sentence()))
        sys.exit(stop.status)
    except BrokenPipeError:  # the first process was killed
        return


def work_in_parallel(
    jobs: Sequence[Run], at_once: int, show: Show, *, again: bool = False
) -> list[int]:
    """Do runs with several processes.

    Args:
        jobs: in the order in which they are taken.
        at_once: processes; 1 takes this one.
        show: called in this process with each message.
        again: do them also where they have a record.

    Returns:
        Statuses of processes that ended before their runs were done.

    Raises:
        Stopped: by a signal, which went to all processes; their runs are saved.
    """
    if at_once == 1:
        work(iter(jobs), show, again=again)
        return []
    context = multiprocessing.get_context("spawn")
    counter, processes, readers = context.Value("i", 0), [], []
    try:
        with without_main(), signals_blocked():
            for _ in range(min(at_once, len(jobs))):
                reader, writer = context.Pipe(duplex=False)
                process = context.Process(target=worker, args=(jobs, counter, writer, again))
                process.start()
                writer.close()  # so that the reader ends with the process
                processes.append(process)
                readers.append(reader)
        listen(readers, show)
    except Stopped as stop:
        signal_all(processes, stop.number)
        listen(readers, show)
        raise
    except BaseException:  # as where what is shown cannot be written
        signal_all(processes, signal.SIGTERM)
        for reader in readers:
            reader.close()
        raise
    finally:
        for process in processes:
            process.join()
    return [process.exitcode for process in processes if process.exitcode]


def signal_all(processes: Sequence[Any], number: int) -> None:
    """Send a signal to the processes that still work."""
    for process in processes:
        if process.pid and process.is_alive():
            os.kill(process.pid, number)


def listen(readers: Sequence[Connection], show: Show) -> None:
    """Show the messages of all processes until each has ended."""
    open_readers: list[Any] = list(readers)
    while open_readers:
        for reader in cast(list[Any], wait(open_readers)):
            try:
                with signals_blocked():  # half a message is none
                    message = reader.recv()
            except (EOFError, OSError):  # the process has ended
                open_readers.remove(reader)
            else:
                show(message)


class Lines:
    """A line of text for each run that is done or failed."""

    def __init__(self, total: int) -> None:
        self.total, self.ended = total, 0
        self.done, self.failed = set[str](), dict[str, str]()

    def __call__(self, message: Message) -> None:
        """Print a message that is no step."""
        if message.state in (DONE, FAILED):
            self.ended += 1
        if message.state == DONE:
            self.done.add(message.run_id)
        if message.state == FAILED:
            self.failed[message.run_id] = message.text
        if message.state in (DONE, FAILED, STOPPED):
            words = (message.state * bool(message.run_id), message.run_id, message.text)
            self.write("  ".join(filter(None, words)))
        self.steps(message)

    def write(self, text: str) -> None:
        print(text, flush=True)

    def steps(self, message: Message) -> None:
        """Do nothing: a log file needs no line a second."""


class OneLine(Lines):
    """Progress of all runs in one line of a terminal, below the lines of finished runs."""

    def __init__(self, total: int) -> None:
        super().__init__(total)
        self.since, self.shares = time.monotonic(), dict[str, float]()

    def write(self, text: str) -> None:
        """Print a line above the one that is written over."""
        super().write(f"\r\x1b[K{text}")

    def steps(self, message: Message) -> None:
        """Write over the line: runs done, those that run, and the time left."""
        if message.state == STEP:
            self.shares[message.run_id] = message.share
        else:
            self.shares.pop(message.run_id, None)
        share = (self.ended + sum(self.shares.values())) / self.total
        past = time.monotonic() - self.since
        time_left = f", {duration(past * (1 - share) / share)} left" if share > 0.02 else ""
        parts = ", ".join(f"{100 * part:.0f} %" for part in self.shares.values())
        running = f", {len(self.shares)} running ({parts})" if parts else ""
        text = f"{self.ended} of {self.total} runs done{running}{time_left}"
        width = shutil.get_terminal_size().columns - 1
        print(f"\r\x1b[K{text[:width]}", end="", flush=True)
