"""Memory of losses: SogCLR's moving average of each image, and the queue of keys."""

from __future__ import annotations

import copy
import io
import math
import pickle
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.distributed.checkpoint
import torch.nn.functional as F
from torch import Tensor, distributed, nn
from torch.optim.swa_utils import AveragedModel

from eqco.losses.base import ContrastiveLoss
from eqco.losses.functional import dcl, flat_nce, sog_clr
from eqco.losses.memory_bank import MovingAverages
from eqco.losses.modules import EqCoLoss, InfoNCELoss

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


# The queue: keys of the running step are no negatives of it; copies, casts, states.


def most_similar(loss: ContrastiveLoss, key: Tensor) -> float:
    """Largest cosine of a key to those in the queue."""
    keys = loss.state_dict()["queue.keys"]
    return F.cosine_similarity(key[:, None], keys[None], dim=2).max().item()


class Loop:
    def __init__(self, optimizer: Callable[..., torch.optim.Optimizer] = torch.optim.SGD) -> None:
        torch.manual_seed(0)
        self.encoder = nn.Linear(16, 16)
        self.optimizer = optimizer(self.encoder.parameters(), lr=0.01)


@pytest.mark.parametrize("backward", ["once", "each"])
def test_keys_of_a_step_are_no_negatives_of_it_and_enter_once(views: Tensor, backward: str) -> None:
    """Both views in two calls, as a symmetric MoCo has them, also in the first step."""
    loop, loss = Loop(), InfoNCELoss(queue_size=64)
    for step in range(3):
        query, key = views.roll(step, 1) + step
        calls = []
        for one, other in ((query, key), (key, query)):
            value = loss(loop.encoder(one), other)
            calls.append(value)
            if backward == "each":
                value.backward()
            assert most_similar(loss, other) < 0.999
        if backward == "once":
            torch.stack(calls).sum().backward()
        loop.optimizer.step()
        assert loss.state_dict()["queue.place"] == 16 * (step + 1) % 64
        assert most_similar(loss, key) == pytest.approx(1)


def test_a_closure_that_is_called_again_and_again_is_one_step(views: Tensor) -> None:
    loop, loss = Loop(torch.optim.LBFGS), InfoNCELoss(queue_size=64)
    seen = []

    def closure() -> Tensor:
        loop.optimizer.zero_grad()
        value = loss(loop.encoder(views[0]), views[1])
        seen.append(most_similar(loss, views[1]))
        value.backward()
        return value

    loop.optimizer.step(closure)
    assert len(seen) > 2
    assert max(seen) < 0.999
    assert most_similar(loss, views[1]) == pytest.approx(1)


def test_an_optimizer_of_other_layers_ends_no_step(views: Tensor) -> None:
    """Such as a probe's, which is trained beside the encoder."""
    loop, loss = Loop(), InfoNCELoss(queue_size=64)
    probe = nn.Linear(16, 2)
    optimizer = torch.optim.SGD(probe.parameters(), lr=0.1)
    loss(loop.encoder(views[0]), views[1])
    probe(views[0]).sum().backward()
    optimizer.step()
    loss(loop.encoder(views[0]), views[1]).backward()
    assert most_similar(loss, views[1]) < 0.999
    loop.optimizer.step()
    assert most_similar(loss, views[1]) == pytest.approx(1)


def test_without_an_optimizer_the_backward_pass_ends_a_step(views: Tensor) -> None:
    loss, query = InfoNCELoss(queue_size=64), views[0].requires_grad_()
    loss(query, views[1])
    assert most_similar(loss, views[1]) < 0.999
    loss(query, views[1]).backward()
    assert most_similar(loss, views[1]) == pytest.approx(1)


def test_a_step_that_never_ends_holds_no_more_than_the_queue(views: Tensor) -> None:
    loss, query = InfoNCELoss(queue_size=20), views[0].requires_grad_()
    for _ in range(9):
        loss(query, views[1])
    assert len(loss.queue.waiting) == 20


@pytest.mark.parametrize("size", [64, (64, 16)], ids=["Q", "Q-D"])
def test_a_queue_goes_through_every_door_of_a_module(views: Tensor, size: Any) -> None:
    """Inference mode first, then training, an average of the model, casts, a state and copies."""
    loss, query = EqCoLoss(4, queue_size=size), views[0].clone().requires_grad_()
    averaged = AveragedModel(nn.Sequential(nn.Linear(2, 2), loss))
    with torch.inference_mode():
        loss(views[0], views[1])
    for _ in range(2):
        loss(query, views[1]).backward()
    averaged.update_parameters(nn.Sequential(nn.Linear(2, 2), loss))
    if size == (64, 16):
        torch.testing.assert_close(averaged.module[1].queue.keys, loss.queue.keys)
    for cast in (torch.bfloat16, torch.float64, torch.float32):
        loss.to(cast)
        loss(query, views[1]).backward()
    state, file = loss.state_dict(), io.BytesIO()
    assert state["queue.keys"].shape == (64, 16)
    torch.save(state, file)
    file.seek(0)
    fresh = EqCoLoss(4, queue_size=size)
    fresh.load_state_dict(torch.load(file, weights_only=True))
    copies = [fresh, copy.deepcopy(loss), pickle.loads(pickle.dumps(loss))]
    for other in copies:
        for name, value in loss.state_dict().items():
            torch.testing.assert_close(other.state_dict()[name], value)
        other(query, views[1]).backward()
        assert other.state_dict()["queue.place"] == (state["queue.place"] + 8) % 64
    assert torch.equal(loss.state_dict()["queue.place"], state["queue.place"])


@pytest.mark.parametrize("size", [32, 128])
def test_a_queue_of_another_size_is_not_loaded(views: Tensor, size: int) -> None:
    loss, other = EqCoLoss(4, queue_size=64), EqCoLoss(4, queue_size=size)
    loss(views[0].requires_grad_(), views[1]).backward()
    with pytest.raises(RuntimeError, match=f"64 keys, the queue holds {size}: give queue_size=64"):
        other.load_state_dict(loss.state_dict())
    assert loss(views[0, :1], views[1, :1]).isfinite()  # a last batch of one image


def test_float64_embeddings_find_a_float64_queue(views: Tensor) -> None:
    loss = EqCoLoss(None, queue_size=16)
    loss(views[0].requires_grad_(), views[1]).backward()
    assert loss(views[0].double(), views[1].double()).dtype == torch.float64


def test_a_queue_of_unknown_width_is_not_lost_in_a_distributed_checkpoint(
    views: Tensor, tmp_path: Path
) -> None:
    """`torch.distributed.checkpoint` fills what the state of a new module has already."""
    for size, refused in ((64, True), ((64, 16), False)):
        saved, made = InfoNCELoss(queue_size=size), InfoNCELoss(queue_size=size)
        saved(views[0].requires_grad_(), views[1]).backward()
        distributed.checkpoint.save(saved.state_dict(), checkpoint_id=tmp_path / str(refused))
        state = made.state_dict()
        distributed.checkpoint.load(state, checkpoint_id=tmp_path / str(refused))
        if refused:
            with pytest.raises(RuntimeError, match=r"give queue_size=\(Q, D\)"):
                made.load_state_dict(state)
        else:
            made.load_state_dict(state)
            assert torch.equal(made.queue.keys, saved.queue.keys)


def test_a_loss_with_a_queue_can_be_exported(views: Tensor) -> None:
    loss = InfoNCELoss(queue_size=(64, 16)).eval()
    exported = torch.export.export(loss, tuple(views)).module()
    torch.testing.assert_close(exported(*views), loss(*views))
