"""Processor cores that this process may use, and how many threads torch gets of them."""

from __future__ import annotations

import os
from pathlib import Path

CPU_MAX = Path("/sys/fs/cgroup/cpu.max")  # microseconds of processor time in a period of so many


def granted_cores() -> int:
    """Cores that this process may use: by its affinity mask and its container's quota."""
    affinity = getattr(os, "sched_getaffinity", None)  # not on macOS and Windows
    cores = len(affinity(0)) if affinity else os.cpu_count() or 1
    try:
        quota, period = map(int, CPU_MAX.read_text(encoding="ascii").split())
    except (OSError, ValueError):  # no control group, or the quota is "max"
        return cores
    return max(1, min(cores, quota // period))


def default_threads() -> int:
    """CPU threads of torch: OMP_NUM_THREADS where it is set, else up to four granted cores."""
    given = os.environ.get("OMP_NUM_THREADS", "")
    return (
        int(given)
        if given.isascii() and given.isdigit() and int(given)
        else min(4, granted_cores())
    )
