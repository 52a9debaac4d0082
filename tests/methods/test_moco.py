"""MoCo and SynCo against their definitions: the queue, the shuffling, the split batch norm."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from eqco.losses.registry import LOSSES
from eqco.losses.similarity import Similarities
from eqco.methods import batch_norm
from eqco.methods.batch_norm import SplitBatchNorm, SyncedBatchNorm, use_split_batch_norm
from eqco.methods.encoder import build_encoder
from eqco.methods.moco import MoCo
from eqco.methods.synco import Draws, SynCo, synthetic_negatives
from eqco.runtime import distributed
from tests.formulas import usual_settings

SIZE = 8  # images of a batch
Views = tuple[Tensor, Tensor]
CHANGED = r"^the queue has changed: compute the loss and its gradient before the next batch$"


@pytest.fixture
def views(generator: torch.Generator) -> Views:
    """Query and key view of eight gray images."""
    query_view, key_view = torch.rand(2, SIZE, 1, 24, 24, generator=generator)
    return query_view, key_view


def moco(**settings: object) -> MoCo:
    """MoCo with a queue of 20 keys, which the batch of 8 does not divide."""
    given = {"num_negatives": 20, "queue_size": 20, "bn_splits": 1, **settings}
    return MoCo(build_encoder("tiny-gray", 16, seed=0, projector="mlp"), **given)  # type: ignore[arg-type]


def step(method: MoCo, views: Views, seed: int = 0) -> Similarities:
    return method(*views, torch.Generator().manual_seed(seed))  # type: ignore[no-any-return]


def test_the_queue_of_every_step_holds_the_keys_of_all_steps_before(
    generator: torch.Generator,
) -> None:
    """As if each step enqueued its own keys at its end, also over the edge of the ring."""
    method = moco(num_negatives=5)
    expected, first, address = method.queue.clone(), 0, method.queue.data_ptr()
    for number in range(6):
        views = torch.rand(2, SIZE, 1, 24, 24, generator=generator)
        keys = copy.deepcopy(method).keys(views[1], torch.Generator().manual_seed(number))
        found = step(method, tuple(views), seed=number)
        assert found.keys.data_ptr() == address  # a large queue is not copied
        torch.testing.assert_close(found.keys, expected)
        query = method.encoder(views[0])
        torch.testing.assert_close(found.positive, (query * keys).sum(dim=1), atol=1e-5, rtol=0)
        cosines = (query @ expected.T).gather(1, found.columns)
        torch.testing.assert_close(found.negatives(), cosines, atol=1e-5, rtol=0)
        for place, key in enumerate(keys):
            expected[(first + place) % 20] = key
        first = (first + SIZE) % 20
        found.log_odds(0.2).sum().backward()
    state = method.state_dict()
    torch.testing.assert_close(state["queue"], expected)
    assert state["queue_next"].item() == first


@pytest.mark.parametrize("num_negatives", [3, 20], ids="k{}".format)
def test_similarities_of_a_batch_are_gone_with_the_next(num_negatives: int, views: Views) -> None:
    """An error, instead of the loss of another queue."""
    method = moco(num_negatives=num_negatives)
    similarities = step(method, views)
    gap = similarities.log_odds(0.2)
    assert torch.equal(gap, similarities.log_odds(0.2))  # as often as wanted before
    step(method, views, seed=1)
    for look in (lambda: similarities.log_odds(0.2), similarities.negatives):
        with pytest.raises(RuntimeError, match=CHANGED):
            look()


@pytest.mark.parametrize("look", ["gap", "negatives"])
def test_a_loss_whose_queue_is_gone_has_no_gradient(look: str, views: Views) -> None:
    """Two batches, then the gradient of the first: the same sentence, not autograd's."""
    method = moco()
    first = step(method, views)
    value = first.log_odds(0.2).sum() if look == "gap" else first.negatives().sum()
    second = step(method, views, seed=1).log_odds(0.2).sum()
    with pytest.raises(RuntimeError, match=CHANGED):
        (value + second).backward()
    step(method, views, seed=2).log_odds(0.2).sum().backward()  # the method itself goes on


def test_keys_that_wait_for_the_queue_move_with_the_method(views: Views) -> None:
    method = moco()
    before = set(method.state_dict())
    step(method, views)
    method.to(torch.float64)
    assert method.pending.dtype == torch.float64
    moved = copy.deepcopy(method).to("meta")
    assert moved.pending.device.type == "meta"
    keys = method.pending.clone()
    assert set(method.state_dict()) == before
    torch.testing.assert_close(method.queue[:SIZE], keys, atol=0, rtol=0)


def test_shuffling_changes_keys_only_where_batch_norm_is_split(views: Views) -> None:
    """Whole-batch statistics do not see the order; those of parts do."""
    for splits, same in ((1, True), (4, False)):
        keys = [
            moco(bn_splits=splits).keys(views[1], torch.Generator().manual_seed(seed))
            for seed in (0, 1)
        ]
        assert torch.allclose(*keys, atol=1e-5) == same


@pytest.mark.parametrize("used", [False, True], ids=["fresh", "used"])
def test_a_loaded_method_continues_as_the_saved_one(used: bool, views: Views) -> None:
    """Also where the loading method has keys of its own that wait to join its queue."""
    method, other = moco(num_negatives=5), moco(num_negatives=5, seed=5)
    step(method, views)
    if used:
        step(other, (views[1], views[0]), seed=7)
    assert list(method.state_dict())[:2] == ["queue", "queue_next"]  # as in every checkpoint
    other.load_state_dict(copy.deepcopy(method.state_dict()))
    for seed in (1, 2):
        ours, theirs = (step(each, views, seed).log_odds(0.2) for each in (method, other))
        assert torch.equal(ours, theirs)
    for ours, theirs in zip(*(each.state_dict().items() for each in (method, other)), strict=True):
        assert ours[0] == theirs[0]
        assert torch.equal(ours[1], theirs[1])


@pytest.mark.parametrize(
    "duplicate", [copy.deepcopy, lambda each: pickle.loads(pickle.dumps(each))],
    ids=["copied", "pickled"],
)  # fmt: skip
def test_a_copy_has_the_waiting_keys_and_leaves_those_of_the_first_alone(
    duplicate: Callable[[MoCo], MoCo], views: Views
) -> None:
    method = moco()
    step(method, views)
    before, other = method.queue.clone(), duplicate(method)
    state = other.state_dict()
    assert torch.equal(method.queue, before)
    assert not torch.equal(state["queue"], before)
    assert torch.equal(state["queue"], method.state_dict()["queue"])


# Batch norm over several processes, and over parts of a batch.


@pytest.mark.parametrize("momentum", [0.1, None], ids=str)
def test_split_batch_norm_is_batch_norm_of_each_part(
    momentum: float | None, generator: torch.Generator
) -> None:
    images = torch.randn(SIZE, 3, 5, 5, generator=generator)
    split, plain = SplitBatchNorm(3, momentum=momentum), torch.nn.BatchNorm2d(3, momentum=momentum)
    split.splits = 4
    for _ in range(2):
        out = split(images)
        expected = torch.cat([plain(part) for part in images.chunk(4)])
        assert torch.equal(out, expected)
        for each in (out, expected):
            (each**3).sum().backward()
        assert torch.equal(split.weight.grad, plain.weight.grad)
    for name, value in plain.state_dict().items():
        assert torch.equal(split.state_dict()[name], value), name
    split.eval()
    plain.eval()
    torch.testing.assert_close(split(images), plain(images))


def test_one_part_is_the_plain_layer() -> None:
    """Else each layer would copy what it normalises."""
    encoder = build_encoder("tiny-gray", 16, seed=0)
    before = list(encoder.modules())
    use_split_batch_norm(encoder, 1)
    assert list(encoder.modules()) == before


def test_a_batch_that_does_not_split_raises_an_error(generator: torch.Generator) -> None:
    split = SplitBatchNorm(3)
    split.splits = 3
    with pytest.raises(ValueError, match="8 images do not split into 3 equal parts"):
        split(torch.randn(SIZE, 3, 5, 5, generator=generator))


def test_synced_batch_norm_on_one_process_is_batch_norm(generator: torch.Generator) -> None:
    images = torch.randn(8, 3, 4, 4, generator=generator)
    synced, plain = SyncedBatchNorm(3), torch.nn.BatchNorm2d(3)
    torch.testing.assert_close(synced(images), plain(images))


def test_synced_batch_norm_keeps_the_type_that_autocast_gave_it(
    monkeypatch: pytest.MonkeyPatch, generator: torch.Generator
) -> None:
    """Statistics are float32 whatever comes in; two pretended processes hold the same images."""
    monkeypatch.setattr(batch_norm, "world_size", lambda: 2)
    monkeypatch.setattr(distributed.dist, "all_reduce", lambda tensor: tensor.mul_(2))
    images = torch.randn(8, 3, 4, 4, generator=generator)
    synced, plain = SyncedBatchNorm(3), torch.nn.BatchNorm2d(3)
    out = synced(images.bfloat16())
    assert out.dtype == torch.bfloat16
    torch.testing.assert_close(out.float(), plain(images), atol=0.05, rtol=0.05)
    assert synced.running_var.dtype == torch.float32


# SynCo: MoCo v2 to the bit without synthetic negatives, and each kind by its definition.


QUEUE, WIDTH = 40, 16


def made(kind: type[MoCo] = SynCo, **settings: int) -> MoCo:
    """A method with a queue of 40 keys."""
    given = {"num_negatives": 20, "queue_size": QUEUE, "bn_splits": 1, **settings}
    return kind(build_encoder("tiny-gray", WIDTH, seed=0, projector="mlp"), **given)  # type: ignore[arg-type]


@pytest.mark.parametrize(("num_negatives", "draws"), [(3, 1), (20, 1), (QUEUE, 1), (4, 2)])
def test_without_synthetic_negatives_it_is_moco_to_the_bit(
    num_negatives: int, draws: int, views: Views
) -> None:
    given = {"num_negatives": num_negatives, "draws": draws}
    ours, theirs = made(num_synthetic=0, **given), made(MoCo, **given)
    for seed in range(3):
        gaps = [step(method, views, seed).log_odds(0.2) for method in (ours, theirs)]
        assert torch.equal(*gaps)
        for gap, method in zip(gaps, (ours, theirs), strict=True):
            method.encoder.zero_grad()
            gap.sum().backward()
        for one, other in zip(ours.encoder.parameters(), theirs.encoder.parameters(), strict=True):
            assert torch.equal(one.grad, other.grad)
    assert torch.equal(ours.state_dict()["queue"], theirs.state_dict()["queue"])


@pytest.mark.parametrize("num_negatives", [3, 20, QUEUE], ids="k{}".format)
def test_the_negatives_are_those_of_moco_and_then_the_synthetic_ones(
    num_negatives: int, views: Views
) -> None:
    ours = step(made(num_negatives=num_negatives, num_synthetic=30), views)
    theirs = step(made(MoCo, num_negatives=num_negatives), views)
    assert ours.num_negatives == num_negatives + 30
    assert ours.negatives().shape == (SIZE, num_negatives + 30)
    torch.testing.assert_close(ours.negatives()[:, :num_negatives], theirs.negatives())
    assert torch.equal(ours.positive, theirs.positive)
    assert not ours.keys.requires_grad
    explicit = torch.logsumexp(ours.negatives() / 0.2, dim=1) - ours.positive / 0.2
    torch.testing.assert_close(ours.log_odds(0.2), explicit)
    assert (ours.log_odds(0.2) > theirs.log_odds(0.2)).all()


def example(generator: torch.Generator) -> tuple[Tensor, Tensor, Draws, Tensor]:
    """Queries, hardest keys, their draws for one unit of each kind, and the synthetic negatives."""
    draw = {"generator": generator, "dtype": torch.float64}
    query = F.normalize(torch.randn(SIZE, WIDTH, **draw), dim=1)  # type: ignore[call-overload]
    hardest = F.normalize(torch.randn(SIZE, 5, WIDTH, **draw), dim=2)  # type: ignore[call-overload]
    draws = Draws.of(query, 15, 5, generator)
    return query, hardest, draws, synthetic_negatives(query, hardest, draws)


def test_every_kind_is_its_definition(generator: torch.Generator) -> None:
    """One negative at a time, with plain sums."""
    query, hardest, draws, found = example(generator)
    assert found.shape == (SIZE, 15, WIDTH)
    for row in range(SIZE):
        q, keys = query[row], [hardest[row, place] for place in draws.places[row].tolist()]
        shares = draws.shares[row].double().tolist()
        expected = [a / 2 * q + (1 - a / 2) * k for a, k in zip(shares[:4], keys[:4], strict=True)]
        for b, k in zip(shares[4:8], keys[4:8], strict=True):
            expected.append(q + (1 + b / 2) * (k - q))
        for c, k, other in zip(shares[8:], keys[8:12], keys[15:], strict=True):
            expected.append(c * k + (1 - c) * other)
        expected.append(keys[12] + 0.01 * draws.noise[row, 0].double())
        k, other = keys[13].clone().requires_grad_(), keys[14].clone().requires_grad_()
        (gradient,) = torch.autograd.grad(q @ k, k)
        expected.append((k + 0.01 * gradient).detach())
        (gradient,) = torch.autograd.grad(q @ other, other)
        expected.append((other + 0.01 * gradient.sign()).detach())
        for ours, theirs in zip(found[row], expected, strict=True):
            torch.testing.assert_close(ours, theirs / theirs.norm(), rtol=1e-12, atol=1e-12)


def test_they_are_made_of_the_hardest_of_the_drawn_negatives(views: Views) -> None:
    """Of 20 negatives the 16 hardest; of 3 all of them."""
    for num_negatives, hard in ((20, 16), (3, 3), (QUEUE, 16)):
        method = made(num_negatives=num_negatives)
        found = step(made(MoCo, num_negatives=num_negatives), views)
        keys = method.hardest(found)  # type: ignore[operator]
        assert keys.shape == (SIZE, hard, WIDTH)
        cosines = (keys @ found.query[:, :, None])[:, :, 0].sort(dim=1).values
        expected = found.negatives().sort(dim=1).values[:, -hard:]
        torch.testing.assert_close(cosines, expected)


@pytest.mark.parametrize("loss", sorted(LOSSES))
def test_every_loss_has_finite_gradients(loss: str, views: Views) -> None:
    similarities = step(made(), views)
    similarities.query.retain_grad()
    LOSSES[loss].losses(similarities, **usual_settings(loss, 0.05)).mean().backward()
    assert torch.isfinite(similarities.query.grad).all()
    assert similarities.query.grad.abs().max() > 0
