"""How idle threads of OpenMP wait. Import this before torch, which loads OpenMP.

OpenMP's threads spin while they wait for each other. That is faster where every thread has a core
for itself, and many times slower where another process needs one: see `benchmark/README.md`.
"""

from __future__ import annotations

import os

# Each of them says how threads wait: of OpenMP, of GCC's library, of Intel's.
POLICIES = ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT", "KMP_BLOCKTIME")


def sleep_while_waiting() -> None:
    """Let idle threads of this process and its children sleep, unless the environment says how.

    Without effect where torch is loaded already.
    """
    if not any(os.environ.get(name) for name in POLICIES):
        os.environ["OMP_WAIT_POLICY"] = "passive"
