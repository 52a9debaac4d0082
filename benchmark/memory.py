"""Peak memory of one case, in a process of its own: python -m benchmark.memory CASE N

Prints MiB above what the process held before.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable
from functools import partial

import torch

from benchmark.inputs import (
    embeddings,
    ours_in_batch,
    ours_of_queue,
    plain_in_batch,
    plain_of_queue,
)
from eqco.runtime.memory import peak_memory_mib

CASES = ("ours-few", "ours-all", "plain-all", "ours-queue", "plain-queue")


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
    before = peak_memory_mib() or math.nan
    run()
    print(round((peak_memory_mib() or math.nan) - before, 1))


if __name__ == "__main__":
    main()
