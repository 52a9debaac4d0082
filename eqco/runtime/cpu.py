"""Processor cores that this process may use, how many threads torch gets of them, how they wait.

Idle threads of OpenMP spin while they wait for each other. That is faster where every thread has a
core for itself, and many times slower where another process needs one: see `benchmark/README.md`.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from pathlib import Path

OWN_GROUPS = Path("/proc/self/cgroup")  # lines NUMBER:CONTROLLERS:PATH; version 2 has 0::PATH
GROUPS = Path("/sys/fs/cgroup")


def group_folders() -> Iterator[Path]:
    """Folders of the control groups that limit this process, the outermost first.

    Inside a container the path may be that of the host, whose folder is not seen there, while the
    container's own group is mounted at the root.
    """
    try:
        lines = OWN_GROUPS.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:  # no control groups on this system
        lines = []
    for line in lines or ["0::/"]:
        _, controllers, path = line.split(":", 2)
        if controllers and "cpu" not in controllers.split(","):
            continue
        for name in dict.fromkeys((controllers, "cpu" if controllers else "")):
            folder = GROUPS / name
            yield folder
            for part in Path(path).parts[1:]:
                folder = folder / part
                yield folder


def read_quota(folder: Path) -> float:
    """Cores that a control group grants, of version 2 or 1; infinite where it sets no limit."""
    for names in (("cpu.max",), ("cpu.cfs_quota_us", "cpu.cfs_period_us")):
        try:
            words = [(folder / name).read_text(encoding="ascii") for name in names]
            quota, period = map(int, " ".join(words).split())  # microseconds in a period
        except (OSError, ValueError):  # another version, or the quota is "max"
            continue
        if quota > 0 and period > 0:  # -1 is no limit
            return quota / period
    return math.inf


def granted_cores() -> int:
    """Cores that this process may use: by its affinity mask and the quotas of its groups."""
    affinity = getattr(os, "sched_getaffinity", None)  # not on macOS and Windows
    cores = len(affinity(0)) if affinity else os.cpu_count() or 1
    quota = min((read_quota(folder) for folder in group_folders()), default=math.inf)
    return max(1, math.floor(min(float(cores), quota)))


def default_threads() -> int:
    """CPU threads of torch: OMP_NUM_THREADS where it is set, else up to four granted cores."""
    threads = os.environ.get("OMP_NUM_THREADS", "")
    is_count = threads.isascii() and threads.isdigit() and int(threads)
    return int(threads) if is_count else min(4, granted_cores())


# Each of them says how threads wait: of OpenMP, of GCC's library, of Intel's.
POLICIES = ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT", "KMP_BLOCKTIME")


def sleep_while_waiting() -> None:
    """Let idle threads of this process and its children sleep, unless the environment says how.

    Without effect where torch, which loads OpenMP, is imported already.
    """
    if not any(os.environ.get(name) for name in POLICIES):
        os.environ["OMP_WAIT_POLICY"] = "passive"
