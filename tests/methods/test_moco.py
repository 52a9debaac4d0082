"""MoCo against its definition: the queue, the shuffling, the split batch norm."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from eqco.methods.encoder import build_encoder
from eqco.methods.moco import MoCo

SIZE = 8


@pytest.fixture
def views(generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Query and key view of eight gray images."""
    query_view, key_view = torch.rand(2, SIZE, 1, 24, 24, generator=generator)
    return query_view, key_view


def moco(**settings: object) -> MoCo:
    """MoCo with a queue of 20 keys, which the batch of 8 does not divide."""
    given = {"num_negatives": 20, "queue_size": 20, "bn_splits": 1, **settings}
    return MoCo(build_encoder("tiny-gray", 16, seed=0, projector="mlp"), **given)  # type: ignore[arg-type]


def step(method: MoCo, views: tuple[Tensor, Tensor], seed: int = 0) -> tuple[Tensor, Tensor]:
    """One forward pass with a fixed draw."""
    out: tuple[Tensor, Tensor] = method(*views, torch.Generator().manual_seed(seed))
    return out


def test_positives_and_negatives_are_cosines_with_own_key_and_queue(
    views: tuple[Tensor, Tensor],
) -> None:
    method = moco()
    before = method.queue.clone()
    positive, negatives = step(method, views)
    query = method.encoder(views[0])
    keys = method.queue[:SIZE]  # where the first batch lands
    torch.testing.assert_close(positive, (query * keys).sum(dim=1), atol=1e-5, rtol=0)
    torch.testing.assert_close(negatives, query @ before.T, atol=1e-5, rtol=0)


def test_the_queue_is_a_ring_also_where_the_batch_does_not_divide_it() -> None:
    method = moco()
    first = method.queue.clone()
    batches = [torch.full((SIZE, 16), float(number)) for number in (1, 2, 3)]
    for batch in batches:
        method.enqueue(batch)
    assert method.queue_next.item() == 24 % 20
    values = method.queue[:, 0].tolist()
    assert values[:4] == [3.0] * 4  # the third batch went over the edge
    assert values[4:8] == [1.0] * 4
    assert values[8:16] == [2.0] * 8
    assert values[16:20] == [3.0] * 4
    assert not torch.equal(first, method.queue)


def test_a_batch_larger_than_the_queue_raises_an_error() -> None:
    with pytest.raises(ValueError, match="queue holds 20 keys, the batch brings 21"):
        moco().enqueue(torch.zeros(21, 16))


def test_more_negatives_than_the_queue_holds_raise_an_error() -> None:
    with pytest.raises(ValueError, match="num_negatives is 21, but the queue holds 20"):
        moco(num_negatives=21)


def test_fewer_negatives_are_drawn_from_the_queue(views: tuple[Tensor, Tensor]) -> None:
    positive, every = step(moco(), views)
    same, some = step(moco(num_negatives=3), views)
    torch.testing.assert_close(same, positive)
    assert some.shape == (SIZE, 3)
    for row, candidates in zip(some, every, strict=True):
        distance = (row[:, None] - candidates).abs()
        assert distance.amin(dim=1).max() < 1e-6
        assert len(distance.argmin(dim=1).unique()) == 3


def test_the_keys_of_a_step_are_the_negatives_of_the_next(views: tuple[Tensor, Tensor]) -> None:
    method = moco()
    step(method, views)
    keys = method.queue[:SIZE].clone()
    with torch.no_grad():
        query = method.encoder.train()(views[0])
    _, negatives = step(method, views, seed=1)
    torch.testing.assert_close(negatives[:, :SIZE], query @ keys.T, atol=1e-5, rtol=0)


def test_gradient_reaches_the_query_encoder_alone(views: tuple[Tensor, Tensor]) -> None:
    method = moco()
    positive, negatives = step(method, views)
    (negatives.logsumexp(dim=1) - positive).sum().backward()
    assert all(each.grad is not None for each in method.encoder.parameters())
    assert all(each.grad is None for each in method.key_encoder.parameters())


def test_shuffling_changes_keys_only_where_batch_norm_is_split(
    views: tuple[Tensor, Tensor],
) -> None:
    """Whole-batch statistics do not see the order; those of parts do."""
    for splits, same in ((1, True), (4, False)):
        keys = [
            moco(bn_splits=splits).keys(views[1], torch.Generator().manual_seed(seed))
            for seed in (0, 1)
        ]
        assert torch.allclose(*keys, atol=1e-5) == same


def test_the_queue_is_in_the_state(views: tuple[Tensor, Tensor]) -> None:
    method, other = moco(), moco(seed=5)
    step(method, views)
    assert not torch.equal(method.queue, other.queue)
    other.load_state_dict(method.state_dict())
    assert torch.equal(method.queue, other.queue)
    assert other.queue_next.item() == SIZE
