"""Print how many bytes more a process held at most while it computed a loss and its gradients.

Usage: python -m tests.programs.peak_memory batch|batch-few|matrix|queue|queue-all
"""

import resource
import sys

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from eqco.losses import similarity
from eqco.losses.similarity import Similarities
from eqco.methods.moco import MoCo

SIZE, WIDTH, QUEUE = 4096, 128, 65536
UNIT = 1024 if sys.platform == "linux" else 1  # bytes in a unit of ru_maxrss


def most() -> int:
    """Bytes that this process has held at most."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * UNIT


def raise_to_the_most() -> list[Tensor]:
    """Memory that brings the process to the most it ever held: whatever comes on top is seen."""
    start, ballast = most(), []
    while most() < start + 2**21:
        ballast.append(torch.ones(2**18))  # 1 MiB
    return ballast


class Rows(nn.Linear):
    """An encoder of vectors."""

    embedding_dim = WIDTH

    def forward(self, rows: Tensor) -> Tensor:
        """Embeddings of length 1."""
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


case = sys.argv[1]
torch.set_num_threads(1)
torch.manual_seed(0)
if case.startswith("queue"):
    some = QUEUE if case == "queue-all" else 16
    assert some == QUEUE or some * similarity.FEW <= QUEUE
    method = MoCo(
        Rows(WIDTH, WIDTH), num_negatives=some, queue_size=QUEUE, key_momentum=0.9, bn_splits=1
    )
    of_queue(method, 4)  # what is allocated once
    ballast = raise_to_the_most()
    before = most()
    of_queue(method, 256)
else:
    of_batch(case, 256)
    ballast = raise_to_the_most()
    before = most()
    of_batch(case, SIZE)
print(most() - before)
