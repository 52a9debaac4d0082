"""MoCo's queue: the loss over K of its keys or all, and taking in a batch."""

from __future__ import annotations

from functools import partial

import pytest
import torch

from benchmark import peers
from benchmark.inputs import TEMPERATURE, embeddings, limit_of_few, ours_of_queue, plain_of_queue
from benchmark.measure import Compare, Timed
from eqco.losses.memory_bank import replace_oldest
from eqco.methods.encoder import BACKBONES, Encoder
from eqco.methods.moco import MoCo

pytestmark = pytest.mark.benchmark(group="queue")


@pytest.mark.parametrize("few", [16, 0], ids=["few", "all"])
def test_loss_of_the_queue(compare: Compare, few: int) -> None:
    count, size = compare.size(256, 16), compare.size(65536, 64)
    query, key = embeddings(count).requires_grad_(), embeddings(count, 1)
    queue = embeddings(size, 2)
    draw = torch.Generator().manual_seed(0)
    limit = Timed(partial(limit_of_few, query, key, queue, few, draw)) if few else None
    compare(
        f"Q = 65,536, {f'K = {few}' if few else 'all'}",
        ours=Timed(partial(ours_of_queue, query, key, queue, few or size, draw)),
        plain=Timed(partial(plain_of_queue, query, key, queue)),
        limit=limit,
        peers={"lightly": peers.lightly_nt_xent(query, key, TEMPERATURE, 5, size)},
        rounds=9,
        queries=count,
        queue=size,
        negatives=few or size,
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
        queue=size,
    )
