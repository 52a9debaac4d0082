"""Worker processes that read images ahead of a run, forked by a process without threads.

A fork copies the locks of a process as its threads hold them, and the child may then wait forever.
CPython 3.11.7 does so within `os.fork` itself, in 6 of 3,000 forks beside threads that enter Python
for the first time, as those of gloo do (https://github.com/python/cpython/issues/112275). Here the
fork server of `multiprocessing` imports what workers need, has no threads, and forks them.
"""

from __future__ import annotations

import atexit
import multiprocessing
import os
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from multiprocessing import forkserver, resource_tracker, util
from multiprocessing.connection import Connection
from types import ModuleType
from typing import Any

import torch
from torch.utils.data import DataLoader, Dataset

from eqco.config import Machine
from eqco.data.decode import ImageError
from eqco.runtime.signals import ignore, signals_blocked

# Windows knows no fork.
START = "forkserver" if "forkserver" in multiprocessing.get_all_start_methods() else "spawn"
PRELOADED = ["eqco.data.streaming", "torchvision.transforms.v2"]


@contextmanager
def without_main() -> Iterator[None]:
    """Processes started in this block do not import the user's program again.

    They need nothing of it, and it may do its work without asking whether it is `__main__`.
    """
    main = sys.modules["__main__"]
    sys.modules["__main__"] = ModuleType("__main__")
    try:
        yield
    finally:
        sys.modules["__main__"] = main


LONGEST = 60  # characters before the names of sockets, whose paths have 107 at most on Linux


def shorten_sockets() -> None:
    """Put the sockets of this process and its workers below /tmp where TMPDIR is too long.

    Raises:
        ValueError: /tmp cannot be written.
    """
    folder = tempfile.gettempdir()
    if len(os.fsencode(folder)) <= LONGEST:
        return
    tempfile.tempdir = "/tmp"
    try:
        util.get_temp_dir()  # is asked once, workers inherit it
    except OSError as error:
        raise ValueError(
            f"TMPDIR {folder} is too long for the sockets of workers: set a shorter one, or give "
            "--workers 0"
        ) from error
    finally:
        tempfile.tempdir = folder


def start_server() -> None:
    """Let the fork server import while this process builds its model; later calls do nothing."""
    if START == "forkserver":
        shorten_sockets()
        forkserver.set_forkserver_preload(PRELOADED)
        # The server must live until the last step has its images. The tracker has a block of its
        # own: its start ends with signals let through.
        with without_main(), signals_blocked():
            resource_tracker.ensure_running()
        with without_main(), signals_blocked():
            forkserver.ensure_running()


def init_worker(needed: Connection, _: int) -> None:
    """Set a worker process to one thread, since the workers run in parallel already.

    A signal to the whole job must not end it before the step that needs its images; what ends it
    is the other end of `needed`, closed by the process that reads, or with it, however it ends.
    torch's own watch is on the process that forked this one: the fork server, which lives on.
    """
    torch.set_num_threads(1)
    ignore()
    threading.Thread(target=exit_when_closed, args=(needed,), daemon=True).start()


def exit_when_closed(needed: Connection) -> None:
    """End this process as soon as the other end of a pipe is closed; nothing is ever sent."""
    needed.poll(None)
    os._exit(1)


@contextmanager
def prefetched(dataset: Dataset[Any], machine: Machine, **settings: Any) -> Iterator[Iterator[Any]]:
    """Batches that workers make ahead; after this block no worker is left."""
    start_server()
    needed, held = multiprocessing.Pipe(duplex=False)
    atexit.register(held.close)  # before multiprocessing waits for its processes
    try:
        with without_main(), signals_blocked(), needed:
            batches = DataLoader(
                dataset,
                num_workers=machine.workers,
                pin_memory=machine.device.startswith("cuda"),
                worker_init_fn=partial(init_worker, needed),
                multiprocessing_context=START,
                **settings,
            )
            made = iter(batches)  # starts the workers
        yield made
    finally:
        held.close()
        atexit.unregister(held.close)


def loader(dataset: Dataset[Any], machine: Machine, **batches: Any) -> Iterator[Any]:
    """Batches of torch's loader with the machine's workers.

    Args:
        dataset: of `eqco.data.streaming`; it is pickled for each worker.
        machine: its `workers` decode ahead; 0 decodes in this process.
        batches: `batch_sampler`, or `sampler` and `batch_size`.

    Raises:
        ImageError: an image cannot be read; in one line, also from a worker, where torch puts the
            worker's traceback before it.
    """
    if not machine.workers:
        yield from DataLoader(dataset, pin_memory=machine.device.startswith("cuda"), **batches)
        return
    try:
        with prefetched(dataset, machine, **batches) as made:
            yield from made
    except ImageError as error:
        last = str(error).strip().rpartition("\n")[2]
        raise ImageError(last.removeprefix(f"{ImageError.__module__}.ImageError: ")) from None
