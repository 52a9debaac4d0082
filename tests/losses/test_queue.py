"""A loss's queue: keys of the running step are no negatives of it; copies, casts, states."""

from __future__ import annotations

import copy
import io
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.distributed.checkpoint
import torch.nn.functional as F
from torch import Tensor, distributed, nn
from torch.optim.swa_utils import AveragedModel

from eqco.losses.base import ContrastiveLoss
from eqco.losses.modules import EqCoLoss, InfoNCELoss


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
