"""Print how many bytes more a process held at most while it computed a loss and its gradients.

Usage: python -m tests.programs.peak_memory; prints a JSON object of the cases.
"""

import json

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from eqco.losses import blockwise
from eqco.losses.similarity import Similarities
from eqco.methods.moco import MoCo
from eqco.runtime.memory import peak_memory_mib

SIZE, WIDTH, QUEUE = 4096, 128, 65536
CASES = ("queue", "batch-few", "queue-all", "batch", "matrix")  # the largest at the end
BALLAST: list[Tensor] = []


def most() -> int:
    """Bytes that this process has held at most."""
    return int((peak_memory_mib() or 0) * 2**20)


def fill_up() -> int:
    """Hold the most that was ever held, which is returned: whatever comes on top is seen."""
    start = most()
    while most() < start + 2**21:
        BALLAST.append(torch.ones(2**18))  # 1 MiB
    return most()


class Rows(nn.Linear):
    embedding_dim = WIDTH

    def forward(self, rows: Tensor) -> Tensor:
        return F.normalize(super().forward(rows), dim=1)


def of_batch(case: str, size: int) -> None:
    """Loss of both views of a batch, all of which need a gradient."""
    query, keys = (F.normalize(torch.randn(size, WIDTH), dim=1).requires_grad_() for _ in "qk")
    few = torch.randint(size, (size, max(1, size // 256)))
    given = {"columns": few} if case == "batch-few" else {"excluded": torch.arange(size)[:, None]}
    found = Similarities(query, keys, keys, **given)
    if case == "matrix":
        gap = torch.logsumexp(found.negatives() / 0.2, dim=1) - found.positive / 0.2
    else:
        gap = found.log_odds(0.2)
    gap.mean().backward()


def of_queue(method: MoCo, size: int) -> None:
    """Loss of a batch against the keys of the queue; the second one enqueues keys."""
    for _ in range(2):
        found = method(torch.randn(size, WIDTH), torch.randn(size, WIDTH), torch.Generator())
        found.log_odds(0.2).mean().backward()


def measured(case: str) -> int:
    """Bytes of a case above all that was held before it."""
    if not case.startswith("queue"):
        of_batch(case, 256)  # what is allocated once
        before = fill_up()
        of_batch(case, SIZE)
        return most() - before
    some = QUEUE if case == "queue-all" else 16
    assert some == QUEUE or some * blockwise.ON_CPU.few <= QUEUE
    method = MoCo(
        Rows(WIDTH, WIDTH), num_negatives=some, queue_size=QUEUE, key_momentum=0.9, bn_splits=1
    )
    of_queue(method, 4)
    before = fill_up()
    of_queue(method, 256)
    return most() - before


torch.set_num_threads(1)
torch.manual_seed(0)
print(json.dumps({case: measured(case) for case in CASES}))
