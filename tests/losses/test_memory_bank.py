"""SogCLR: the moving average of each image, its limits, and the weight that it gives a query."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial

import pytest
import torch
from torch import Tensor

from eqco.losses.functional import dcl, flat_nce, sog_clr
from eqco.losses.memory_bank import MovingAverages

Case = Callable[..., tuple[Tensor, Tensor]]
TEMPERATURE = 0.2


def loss_and_gradients(loss: Callable[..., Tensor], case: tuple[Tensor, Tensor]) -> list[Tensor]:
    """A loss at temperature 0.2 and its gradients by positive and negatives."""
    inputs = [each.clone().requires_grad_(True) for each in case]
    value = loss(*inputs, temperature=TEMPERATURE)
    return [value.detach(), *torch.autograd.grad(value, inputs)]


def seen(log_u: float, count: int) -> MovingAverages:
    """Averages of images that all have the same u."""
    averages = MovingAverages(count).double()
    averages.log_u.fill_(log_u)
    return averages


def test_gamma_one_is_dcl_whatever_was_before(similarity_case: Case) -> None:
    case = similarity_case()
    average = partial(seen(7.0, 5).update, torch.arange(5))
    found = loss_and_gradients(partial(sog_clr, sog_gamma=1, average=average), case)
    for ours, theirs in zip(found, loss_and_gradients(dcl, case), strict=True):
        assert torch.equal(ours, theirs)
    for ours, theirs in zip(found[1:], loss_and_gradients(flat_nce, case)[1:], strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-12, atol=0)


def test_value_and_gradient_are_those_of_the_definition(similarity_case: Case) -> None:
    """L = log u with the gradient of g / u, all with plain exp."""
    case = similarity_case()
    before = torch.tensor([0.5, 3.0, 40.0, 1e3, 9.0], dtype=torch.float64)
    averages = MovingAverages(9).double()
    rows = torch.tensor([8, 0, 3, 4, 1])
    averages.log_u[rows] = before.log()

    def by_hand(positive: Tensor, negatives: Tensor, temperature: float) -> Tensor:
        g = ((negatives - positive[:, None]) / temperature).exp().sum(dim=1)
        u = (0.7 * before + 0.3 * g).detach()
        return (u.log() + (g - g.detach()) / u).mean()

    expected = loss_and_gradients(by_hand, case)
    average = partial(averages.update, rows)
    found = loss_and_gradients(partial(sog_clr, sog_gamma=0.3, average=average), case)
    for ours, theirs in zip(found, expected, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-12, atol=0)


def test_averages_follow_their_recursion_and_leave_other_images_alone() -> None:
    averages, rows = MovingAverages(4), torch.tensor([3, 1])
    u = None
    for g in ([2.0, 5.0], [1.0, 8.0], [4.0, 2.0]):
        now = torch.tensor(g)
        u = now if u is None else 0.75 * u + 0.25 * now
        torch.testing.assert_close(averages.update(rows, now.log(), 0.25), u.log())
        torch.testing.assert_close(averages.log_u[rows], u.log())
    assert averages.log_u[[0, 2]].isposinf().all()


def test_two_queries_of_an_image_start_from_one_average_and_leave_their_mean() -> None:
    averages, rows = MovingAverages(2).double(), torch.tensor([1, 0])
    averages.log_u.copy_(torch.tensor([1.0, 2.0]).log())
    log_g = torch.tensor([3.0, 4.0, 5.0, 6.0]).double().log()  # of images 1, 0, 1, 0
    u = averages.update(rows, log_g, 0.5).exp()
    torch.testing.assert_close(u, torch.tensor([2.5, 2.5, 3.5, 3.5]).double())
    torch.testing.assert_close(averages.log_u.exp(), torch.tensor([3.0, 3.0]).double())


def test_float32_is_enough_where_the_sums_leave_its_range() -> None:
    """At temperature 0.01 e^{2/t} is 10^87; its logarithm is exact."""
    positive = torch.tensor([-1.0, 1.0], requires_grad=True)
    negatives = torch.tensor([[1.0] * 4, [-1.0] * 4], requires_grad=True)
    averages = MovingAverages(2)
    averages.log_u.copy_(torch.tensor([-200.0, 200.0]))
    average = partial(averages.update, torch.arange(2))
    loss = sog_clr(positive, negatives, temperature=0.01, sog_gamma=0.5, average=average)
    loss.backward()
    found = averages.log_u.tolist()
    assert found == pytest.approx([200 + math.log(2), 200 - math.log(2)], rel=1e-6)
    assert loss.item() == pytest.approx(200, rel=1e-6)
    assert positive.grad.tolist() == pytest.approx([-1 / 0.01, 0], abs=1e-3)
