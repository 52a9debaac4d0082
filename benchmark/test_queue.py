"""MoCo's queue: the loss over K of its keys or all, and taking in a batch."""

from __future__ import annotations

from functools import partial

import pytest

from benchmark import peers
from benchmark.inputs import LossCase, embeddings
from benchmark.measure import Compare, Timed
from eqco.losses.memory_bank import replace_oldest
from eqco.methods.encoder import BACKBONES, Encoder
from eqco.methods.moco import MoCo

pytestmark = pytest.mark.benchmark(group="queue")


@pytest.mark.parametrize("few", [16, 0], ids=["few", "all"])
def test_loss_of_the_queue(compare: Compare, few: int) -> None:
    case = LossCase(compare.size(256, 16), few, compare.size(65536, 64))
    compare(
        f"Q = 65,536, {f'K = {few}' if few else 'all'}",
        ours=Timed(case.ours),
        plain=Timed(case.plain),
        limit=Timed(case.limit) if few else None,
        lightly=peers.lightly_nt_xent(case, rounds=5),
        rounds=9,
    )


def test_taking_in_a_batch(compare: Compare) -> None:
    count, size = compare.size(256, 16), compare.size(65536, 64)
    encoder = Encoder(BACKBONES["tiny-gray"]())
    method = MoCo(encoder, num_negatives=16, queue_size=size, bn_splits=1)
    compare(
        "take in a batch / a copy",
        ours=Timed(partial(replace_oldest, method.queue, method.queue_next, embeddings(count))),
        plain=Timed(method.queue.clone),
        rounds=50,
    )
