"""Data sets whose items tell of the worker process that made them."""

from __future__ import annotations

import os
import threading
import time

from torch.utils.data import Dataset

from eqco.data.decode import ImageError

LOCK = threading.Lock()


class Processes(Dataset[tuple[int, int]]):
    """Eight items, each a worker's number and that of the process that forked it, after 0.1 s."""

    def __len__(self) -> int:
        return 8

    def __getitem__(self, place: int) -> tuple[int, int]:
        time.sleep(0.1)
        return os.getpid(), os.getppid()


class Locked(Dataset[bool]):
    """Whether a worker gets the lock of this module within ten seconds."""

    def __len__(self) -> int:
        return 1

    def __getitem__(self, place: int) -> bool:
        return LOCK.acquire(timeout=10)


class Damaged(Dataset[int]):
    """Images of which the second cannot be read."""

    def __len__(self) -> int:
        return 8

    def __getitem__(self, place: int) -> int:
        if place == 1:
            raise ImageError("cannot read image 1: cut off")
        return place
