"""Peak memory, and too little of it: told before torch is loaded, which would abort the process."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

# What a command does first: load torch, and start its threads.
START = "import torch; torch.ones(256, 256) @ torch.ones(256, 256)"


def peak_memory_mib() -> float | None:
    """Largest resident memory of this process so far, MiB; None where the system does not say.

    On Linux `getrusage` would also count the process that started this one.
    """
    try:
        lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 2**10
    except (OSError, StopIteration):
        pass
    try:
        import resource
    except ImportError:  # Windows
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (2**20 if sys.platform == "darwin" else 2**10)


def check_memory() -> None:
    """Raise MemoryError where a limit of addresses is too small for torch.

    A process of its own tries it, since torch ends the process that it fails in. Without a limit,
    or where torch is loaded, nothing is done.
    """
    try:
        import resource
    except ImportError:  # Windows
        return
    limit = resource.getrlimit(resource.RLIMIT_AS)[0]
    if limit == resource.RLIM_INFINITY or "torch" in sys.modules:
        return
    tried = subprocess.run([sys.executable, "-c", START], capture_output=True, check=False)
    if tried.returncode and b"No module named" not in tried.stderr:
        raise MemoryError(
            f"torch cannot start with {limit / 2**30:.1f} GiB of addresses, as ulimit -v has it: "
            "ulimit -v unlimited, or ask your cluster for more memory"
        )


def end_without_memory() -> None:
    """End the process with a sentence where `check_memory` raises, before a package is imported."""
    try:
        check_memory()
    except MemoryError as error:
        print(f"error: out of memory: {error}", file=sys.stderr)
        sys.exit(2)
