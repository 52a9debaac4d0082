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


@pytest.mark.parametrize("size", [10, 400])  # a matrix; blocks
def test_autocast_leaves_the_loss_alone(size: int, generator: torch.Generator) -> None:
    loss, views = InfoNCELoss(), torch.randn(2, size, 8, generator=generator).bfloat16()
    with torch.autocast("cpu", torch.bfloat16):
        inside = loss(*views)
    assert inside.dtype == torch.float32
    assert torch.equal(inside, loss(*views))


@pytest.mark.parametrize("size", [10, 400])
def test_functional_gradients_are_those_of_backward(size: int, generator: torch.Generator) -> None:
    query, key = torch.randn(2, size, 8, generator=generator)
    loss, needs = DCLLoss(), query.clone().requires_grad_()
    loss(needs, key).backward()
    torch.testing.assert_close(torch.func.grad(loss)(query, key), needs.grad)


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
