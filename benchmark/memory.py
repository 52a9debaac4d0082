"""Peak memory of one case, in a process of its own: python -m benchmark.memory CASE N

Prints MiB above what the process held before.
"""

from __future__ import annotations

import argparse
import resource
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

import torch

from benchmark.inputs import (
    embeddings,
    ours_in_batch,
    ours_of_queue,
    plain_in_batch,
    plain_of_queue,
)

CASES = ("ours-few", "ours-all", "plain-all", "ours-queue", "plain-queue")


def peak() -> float:
    """Largest resident memory of this process so far, MiB.

    On Linux `getrusage` would also count the process that started this one.
    """
    status = Path("/proc/self/status")
    if status.exists():
        lines = status.read_text(encoding="utf-8").splitlines()
        kilobytes = [line.split()[1] for line in lines if line.startswith("VmHWM")]
        if kilobytes:
            return int(kilobytes[0]) / 1024
    used = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return used / 2**20 if sys.platform == "darwin" else used / 1024


def case(name: str, count: int, size: int) -> Callable[[], None]:
    """What is measured: N queries, Q keys of a queue."""
    query, key = embeddings(count).requires_grad_(), embeddings(count, 1)
    draw = torch.Generator().manual_seed(0)
    if name == "plain-all":
        return partial(plain_in_batch, query, key)
    if name.endswith("queue"):
        queue = embeddings(size, 2)
        if name == "plain-queue":
            return partial(plain_of_queue, query, key, queue)
        return partial(ours_of_queue, query, key, queue, size, draw)
    few = 16 if name == "ours-few" else count - 1
    return partial(ours_in_batch, "infonce", query, key, few, draw)


def main() -> None:
    """Print the peak of one case."""
    parser = argparse.ArgumentParser(prog="python -m benchmark.memory", description=__doc__)
    parser.add_argument("case", choices=CASES)
    parser.add_argument("count", type=int, help="N, queries")
    parser.add_argument("--queue", type=int, default=65536, help="keys of the queue (65,536)")
    args = parser.parse_args()
    torch.set_num_threads(1)
    case(args.case, 64, 1024)()
    run = case(args.case, args.count, args.queue)
    before = peak()
    run()
    print(round(peak() - before, 1))


if __name__ == "__main__":
    main()
