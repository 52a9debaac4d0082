"""Peak memory of one case in a process of its own, MiB above what the process held before.

python -m benchmark.memory ours|plain N K Q      as `benchmark.inputs.LossCase` takes them
"""

from __future__ import annotations

import math
import sys

import torch

from benchmark.inputs import LossCase
from eqco.runtime.memory import peak_memory_mib


def main() -> None:
    """Print the peak of one case."""
    code, (count, negatives, queue_size) = sys.argv[1], map(int, sys.argv[2:])
    torch.set_num_threads(1)
    getattr(LossCase(64, negatives, 1024 if queue_size else 0), code)()  # libraries are loaded
    case = LossCase(count, negatives, queue_size)
    before = peak_memory_mib() or math.nan
    getattr(case, code)()
    print(round((peak_memory_mib() or math.nan) - before, 1))


if __name__ == "__main__":
    main()
