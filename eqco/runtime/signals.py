"""SIGTERM, SIGINT and SIGHUP: a run ends its step, saves, and exits with 128 + the signal's number.

Preemption on a cluster, Ctrl-C and a closed terminal are announced by these signals.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType

NAMES = ("SIGTERM", "SIGINT", "SIGHUP")  # Windows has no SIGHUP
NUMBERS = [getattr(signal, name) for name in NAMES if hasattr(signal, name)]
IMPATIENT = 2.0  # seconds; a Ctrl-C that long after the first signal does not wait for the step


class Stopped(KeyboardInterrupt):
    """A signal ended the work; `kept` says what is saved, or "" where nothing is known of it."""

    def __init__(self, number: int, kept: str = "") -> None:
        super().__init__(number, kept)
        self.number, self.kept = number, kept

    @property
    def status(self) -> int:
        """Exit status: 143, 130, 129."""
        return 128 + self.number

    def sentence(self, command: str = "") -> str:
        """One sentence; `command` continues the work and is already quoted for a shell."""
        text = f"stopped by {signal.Signals(self.number).name}"
        text += f": {self.kept}" if self.kept else ""
        return f"{text}; continue with: {command}" if command else text


@dataclass
class Caught:
    """State of this process: the first signal, when it came, how many wait for a step's end."""

    number: int = 0
    since: float = 0.0
    deferring: int = 0
    installed: bool = False
    before_end: Callable[[], object] = lambda: None


caught = Caught()


def handle(number: int, frame: FrameType | None) -> None:
    """Raise Stopped, at once or at the end of what is deferred.

    A launcher repeats the signal that its own process group got: repetitions change nothing.
    """
    first, clock = not caught.number, time.monotonic()
    if first:
        caught.number, caught.since = number, clock
    insists = number == signal.SIGINT and clock - caught.since > IMPATIENT
    if (first and not caught.deferring) or insists:
        raise Stopped(caught.number)


def end_process(number: int, frame: FrameType | None) -> None:
    """End this process with a sentence: no work of it has begun."""
    caught.before_end()
    os.write(2, f"{Stopped(number).sentence()}: nothing had started\n".encode())
    os._exit(128 + number)


UNHANDLED = (signal.SIG_DFL, signal.default_int_handler, end_process)


def stop_at_once(before_end: Callable[[], object] = lambda: None) -> None:
    """Let signals end this process with a sentence, until `catching`; for the start of a program.

    Its imports take seconds, and an exception within them would be shown with its traceback.
    `before_end` is called before the sentence is written to stderr.
    """
    caught.before_end = before_end
    if threading.current_thread() is threading.main_thread():
        for number in NUMBERS:
            if signal.getsignal(number) in UNHANDLED:
                signal.signal(number, end_process)


def stop_module_at_once() -> None:
    """`stop_at_once` where a package is imported by `python -m`, and not by other code."""
    if sys.argv[:1] == ["-m"]:  # so until the module is found
        stop_at_once()


@contextmanager
def signals_blocked() -> Iterator[None]:
    """Processes started in this block take no signal before they call `unblock_signals`."""
    if not hasattr(signal, "pthread_sigmask"):  # Windows
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, NUMBERS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def unblock_signals() -> None:
    """Take signals again, in a process that was started within `signals_blocked`."""
    if hasattr(signal, "pthread_sigmask"):
        signal.pthread_sigmask(signal.SIG_UNBLOCK, NUMBERS)


@contextmanager
def raise_as_stopped() -> Iterator[None]:
    """Raise Stopped for an exception that other code made of it.

    Python tells of a signal inside an extension module's start, as in an import, as ImportError.
    """
    try:
        yield
    except Exception as error:
        cause = error.__cause__
        while cause is not None and not isinstance(cause, Stopped):
            cause = cause.__cause__
        if cause is None:
            raise
        raise Stopped(caught.number) from error


@contextmanager
def catching() -> Iterator[None]:
    """Turn signals into Stopped; may be nested, without effect outside the main thread.

    Signals that are ignored, as SIGHUP under nohup, or that other code handles, are left alone.
    """
    if caught.installed or threading.current_thread() is not threading.main_thread():
        with raise_as_stopped():
            yield
        return
    handlers = {number: signal.getsignal(number) for number in NUMBERS}
    before = {number: present for number, present in handlers.items() if present in UNHANDLED}
    for number in before:
        signal.signal(number, handle)
    caught.installed, caught.number = True, 0
    try:
        with raise_as_stopped():
            yield
    finally:
        for number, present in before.items():
            signal.signal(number, present)
        caught.installed, caught.number = False, 0


@contextmanager
def deferred() -> Iterator[None]:
    """Let signals wait for the end of this block, which raises Stopped where one came."""
    caught.deferring += 1
    try:
        yield
    finally:
        caught.deferring -= 1
    if caught.number and not caught.deferring:
        raise Stopped(caught.number)


def pending() -> int:
    """Number of the signal that waits, 0 where none does."""
    return caught.number if caught.deferring else 0


def ignore() -> None:
    """Ignore the signals in a worker process: the process that needs it decides when to end."""
    for number in NUMBERS:
        signal.signal(number, signal.SIG_IGN)
