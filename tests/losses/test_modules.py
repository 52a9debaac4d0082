"""The losses of two views: values by definition, negatives, queue, and what loops do with them."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from eqco.losses.base import ContrastiveLoss
from eqco.losses.modules import DCLLoss, EqCoLoss, InfoNCELoss


@pytest.fixture
def views(generator: torch.Generator) -> Tensor:
    """Embeddings of two views of ten images, float64, not of length 1: (2, 10, 8)."""
    return 3 * torch.randn(2, 10, 8, generator=generator, dtype=torch.float64)


@pytest.mark.parametrize("two_sided", [True, False])
@pytest.mark.parametrize("count", [1, 4])
def test_drawn_negatives_are_other_images(count: int, two_sided: bool, views: Tensor) -> None:
    """A key of an own image would have cosine 1; DCL shows the largest of the negatives."""
    basis = torch.eye(10, dtype=torch.float64)
    loss = DCLLoss(count, two_sided=two_sided, temperature=0.2)
    for _ in range(20):
        assert loss(basis, basis).item() == pytest.approx(math.log(count) - 5, abs=1e-12)


def test_the_wrong_guess_is_refused_with_the_right_call(views: Tensor) -> None:
    query, key = views
    with pytest.raises(TypeError, match="EqCoLoss takes two tensors") as caught:
        EqCoLoss(4)(query, key, key)
    assert "similarities" in str(caught.value)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"num_negatives": 0}, "num_negatives must be a whole number from 1"),
        ({"queue_size": -1}, "queue_size must be a whole number from 0"),
        ({"queue_size": 8}, "num_negatives is 16, but the queue holds 8 keys"),
        ({"queue_size": 64, "two_sided": True}, "leave two_sided out"),
        ({"reduction": "average"}, "unknown reduction 'average'"),
        ({"temperature": 0}, "temperature must be finite and above 0, got 0"),
        ({"alpha": None}, "alpha must be finite and above 0, got None"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_wrong_arguments_are_named(settings: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        EqCoLoss(**settings)


@pytest.mark.parametrize("shapes", [((4, 8), (5, 8)), ((4,), (4,)), ((1, 8), (1, 8))], ids=str)
def test_wrong_shapes_are_named(shapes: tuple) -> None:
    with pytest.raises(ValueError, match=r"\(N, D\) with N >= 2"):
        EqCoLoss()(*(torch.ones(shape) for shape in shapes))


def test_more_negatives_than_the_batch_has_are_refused(views: Tensor) -> None:
    with pytest.raises(ValueError, match=r"only 18 negatives are there.*drop_last"):
        EqCoLoss(19)(*views)


def test_keys_that_do_not_fit_the_queue_are_named(views: Tensor) -> None:
    loss = InfoNCELoss(queue_size=12)
    loss(*views)
    with pytest.raises(ValueError, match="queue holds 12 keys, the batch brings 13"):
        loss(torch.randn(13, 8), torch.randn(13, 8))
    with pytest.raises(ValueError, match="holds keys of 8 dimensions, the batch brings 9"):
        loss(torch.randn(5, 9), torch.randn(5, 9))


def test_autocast_leaves_the_loss_alone(views: Tensor) -> None:
    loss, halves = InfoNCELoss(), views.bfloat16()
    with torch.autocast("cpu", torch.bfloat16):
        inside = loss(*halves)
    assert inside.dtype == torch.float32
    assert torch.equal(inside, loss(*halves))


def test_functional_gradients_are_those_of_backward(views: Tensor) -> None:
    query, key = views[0].clone().requires_grad_(), views[1]
    loss = EqCoLoss(None)
    loss(query, key).backward()
    assert torch.equal(torch.func.grad(loss)(views[0], key), query.grad)


@pytest.mark.parametrize(
    "make",
    [lambda: EqCoLoss(None), lambda: InfoNCELoss(two_sided=False), lambda: EqCoLoss(4)],
    ids=["two-sided", "one-sided", "drawn"],
)
def test_it_compiles_without_a_graph_break(
    make: Callable[[], ContrastiveLoss], views: Tensor
) -> None:
    loss = make()
    compiled = torch.compile(loss, fullgraph=True, backend="aot_eager")
    query = views[0].clone().requires_grad_()
    value = compiled(query, views[1])
    value.backward()
    assert query.grad is not None
    if loss.num_negatives is None:
        torch.testing.assert_close(value, loss(*views))
    assert compiled(query, math.nan * views[1]).isnan()  # the test of finiteness stands outside


def test_a_queue_compiles(views: Tensor) -> None:
    loss = EqCoLoss(None, queue_size=16)
    loss(views[0].clone().requires_grad_(), views[1])
    twin = copy.deepcopy(loss)
    compiled = torch.compile(loss, fullgraph=True, backend="aot_eager")
    query = views[0].clone().requires_grad_()
    optimizer = torch.optim.SGD([query], 0.1)
    for step in range(4):
        key = views[1].roll(step, 0)
        ours, theirs = compiled(query, key), twin(query, key)
        torch.testing.assert_close(ours, theirs)
        ours.backward()
        optimizer.step()
    assert torch.equal(loss.state_dict()["queue.keys"], twin.state_dict()["queue.keys"])


def test_a_loss_prints_its_settings_and_has_no_parameters() -> None:
    assert str(EqCoLoss(temperature=0.1, alpha=64)) == (
        "EqCoLoss(num_negatives=16, alpha=64.0, temperature=0.1, two_sided=True)"
    )
    assert not list(EqCoLoss(queue_size=64).parameters())
    assert not EqCoLoss().state_dict()


def test_all_negatives_give_lightlys_loss(views: Tensor) -> None:
    losses = pytest.importorskip("lightly.loss", reason="lightly is not installed")
    theirs = losses.NTXentLoss(temperature=0.2)(*views)
    torch.testing.assert_close(InfoNCELoss()(*views), theirs, rtol=1e-12, atol=0)
    full = EqCoLoss(None, alpha=18)(*views)  # alpha = K
    torch.testing.assert_close(full, theirs, rtol=1e-12, atol=0)
