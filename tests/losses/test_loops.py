"""Losses in other people's loops: steps of several calls, copies, casts, modes, odd numbers."""

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
from torch.nn.modules.batchnorm import _BatchNorm
from torch.optim.swa_utils import AveragedModel
from torch.utils.checkpoint import checkpoint

from eqco.losses.base import ContrastiveLoss
from eqco.losses.functional import info_nce
from eqco.losses.logits import similarities
from eqco.losses.memory_bank import MovingAverages
from eqco.losses.modules import EqCoLoss, InfoNCELoss
from eqco.losses.registry import LOSSES
from eqco.losses.similarity import Similarities
from eqco.methods import MoCo, SimCLR, SiMo
from eqco.methods.base import Method
from eqco.methods.encoder import build_encoder
from tests.formulas import usual_settings
from tests.losses.test_definition import CLASSES

Step = Callable[[], Tensor]


@pytest.fixture
def views(generator: torch.Generator) -> Tensor:
    """Embeddings of two views of eight images, (2, 8, 16)."""
    return torch.randn(2, 8, 16, generator=generator)


def most_similar(loss: ContrastiveLoss, key: Tensor) -> float:
    """Largest cosine of a key to those in the queue."""
    keys = loss.state_dict()["queue.keys"]
    return F.cosine_similarity(key[:, None], keys[None], dim=2).max().item()


class Loop:
    def __init__(self, optimizer: Callable[..., torch.optim.Optimizer] = torch.optim.SGD) -> None:
        torch.manual_seed(0)
        self.encoder = nn.Linear(16, 16)
        self.optimizer = optimizer(self.encoder.parameters(), lr=0.01)


# A queue: keys of the running step are no negatives of it, and enter once.


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


@pytest.mark.parametrize("reentrant", [False, True])
def test_activation_checkpointing_changes_nothing(views: Tensor, reentrant: bool) -> None:
    """A loss that is computed again draws the same negatives, and its keys enter once."""
    found = []
    for checkpointed in (False, True):
        loss, loop = EqCoLoss(4, queue_size=32), Loop()
        torch.manual_seed(1)
        for step in range(3):
            query, key = views + step
            embedding = loop.encoder(query)
            loop.optimizer.zero_grad()
            if checkpointed:
                value = checkpoint(loss, embedding, key, use_reentrant=reentrant)
            else:
                value = loss(embedding, key)
            value.backward()
            loop.optimizer.step()
        found.append([value.detach(), loop.encoder.weight, *loss.state_dict().values()])
    for one, other in zip(*found, strict=True):
        torch.testing.assert_close(one, other)


def test_checkpointing_refuses_a_generator_of_its_own(views: Tensor) -> None:
    loss = EqCoLoss(4, generator=torch.Generator().manual_seed(0))
    value = checkpoint(loss, views[0].requires_grad_(), views[1], use_reentrant=False)
    with pytest.raises(RuntimeError, match="leave generator out"):
        value.backward()


# A queue: copies, casts, modes, states.


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


@pytest.mark.parametrize("mode", ["eval", "no_grad", "inference"])
@pytest.mark.parametrize("name", ["simo", "moco", "loss", "averages"])
def test_nothing_moves_in_evaluation_or_without_gradient(
    name: str, mode: str, views: Tensor, generator: torch.Generator
) -> None:
    images = torch.rand(2, 8, 1, 24, 24, generator=generator)
    encoder = build_encoder("tiny-gray", 16, seed=0).eval()  # batch norm counts without gradient
    module: nn.Module = EqCoLoss(4, queue_size=32)
    call: Step = lambda: module(views[0].clone().requires_grad_(), views[1])  # noqa: E731
    if name in ("simo", "moco"):
        made = (
            SiMo(encoder, num_negatives=4)
            if name == "simo"
            else MoCo(encoder, num_negatives=4, queue_size=32, bn_splits=1)
        )
        module, call = made, lambda: made(*images, generator).log_odds(0.2)
        for weight in made.key_encoder.parameters():
            weight.data.mul_(1.1)
    elif name == "averages":
        module = averages = MovingAverages(8)
        call = lambda: averages.update(torch.arange(8), views[0, :, 0], 0.5)  # noqa: E731
    call()
    for child in module.modules():
        child.train(mode != "eval" and not isinstance(child, _BatchNorm))
    before = copy.deepcopy(module.state_dict())
    with {"eval": torch.enable_grad, "no_grad": torch.no_grad}.get(mode, torch.inference_mode)():
        for _ in range(2):
            call()
    for key, value in module.state_dict().items():
        assert torch.equal(value, before[key]), key


# Devices and numbers.


@pytest.mark.parametrize("count", [2, 6], ids=["few", "many"])
@pytest.mark.parametrize("options", [{}, {"queue_size": 32}, {"two_sided": False}], ids=str)
def test_a_default_device_or_type_of_the_user_changes_nothing(
    options: dict, count: int, views: Tensor
) -> None:
    found = []
    for device, dtype in (("cpu", torch.float32), ("meta", torch.float32), ("cpu", torch.float64)):
        torch.manual_seed(0)
        torch.set_default_dtype(dtype)
        try:
            with torch.device(device):
                loss = EqCoLoss(count, **options)
                found.append(loss(views[0].clone().requires_grad_(), views[1]))
        finally:
            torch.set_default_dtype(torch.float32)
    assert torch.equal(found[0], found[1])
    assert torch.equal(found[0], found[2])


@pytest.mark.parametrize("factor", [1e-35, 1e-20, 1e20, 1e38], ids="{:g}".format)
def test_embeddings_of_any_length_have_the_loss_of_their_directions(
    factor: float, views: Tensor
) -> None:
    views = F.normalize(views, dim=2)
    usual, scaled = views[0].clone().requires_grad_(), (factor * views[0]).requires_grad_()
    losses = [InfoNCELoss()(query, factor * views[1]) for query in (usual, scaled)]
    torch.testing.assert_close(losses[0], InfoNCELoss()(*views))
    torch.testing.assert_close(losses[1], losses[0])
    for loss in losses:
        loss.backward()
    if 1e-30 < factor < 1e30:
        torch.testing.assert_close(scaled.grad * factor, usual.grad)
    negatives = similarities(factor * views[0], factor * views[1], factor * views[0].flip(0))
    torch.testing.assert_close(
        info_nce(*negatives, temperature=0.2),
        info_nce(*similarities(views[0], views[1], views[0].flip(0)), temperature=0.2),
    )


def test_a_row_of_zeros_has_no_gradient(views: Tensor) -> None:
    query = views[0].clone()
    query[0] = 0
    query.requires_grad_()
    InfoNCELoss()(query, views[1]).backward()
    assert not query.grad[0].any()
    assert query.grad.abs().max() < 1


# Memory that stays for the backward pass.


def kept(call: Step) -> int:
    """Numbers in the largest tensor that is kept for the backward pass."""
    largest = 0

    def pack(value: Tensor) -> Tensor:
        nonlocal largest
        largest = max(largest, value.numel())
        return value

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda value: value):
        call().backward()
    return largest


BLOCKWISE = [name for name, loss in LOSSES.items() if not loss.corrects]


class Rows(nn.Linear):
    embedding_dim = 8

    def forward(self, rows: Tensor) -> Tensor:
        return F.normalize(super().forward(rows), dim=1)


@pytest.mark.parametrize("name", BLOCKWISE)
@pytest.mark.parametrize("door", ["two-sided", "one-sided", "queue", "simo", "simclr", "moco"])
def test_no_matrix_of_similarities_is_kept_for_the_backward_pass(
    name: str, door: str, generator: torch.Generator
) -> None:
    size = 600  # more similarities than are computed at once
    views = torch.randn(2, size, 8, generator=generator)
    entry, settings = LOSSES[name], usual_settings(name)
    if door in ("simo", "simclr", "moco"):
        make: dict[str, Callable[[nn.Module], Method]] = {
            "simo": lambda encoder: SiMo(encoder, num_negatives=size - 1),
            "simclr": lambda encoder: SimCLR(encoder, num_negatives=2 * size - 2),
            "moco": lambda e: MoCo(e, num_negatives=900, queue_size=900, bn_splits=1),
        }
        method = make[door](Rows(8, 8))
        assert kept(lambda: entry.losses(method(*views, generator), **settings).mean()) < 40 * size
        return
    if entry.averages:
        return  # it has no module
    options = {"queue": {"queue_size": 900}, "one-sided": {"two_sided": False}}.get(door, {})
    loss = CLASSES[name](None, **settings, **options)
    query = views[0].clone().requires_grad_()
    assert kept(lambda: loss(query, views[1])) < 40 * size


def test_the_measurement_finds_a_matrix_that_is_kept(generator: torch.Generator) -> None:
    query = F.normalize(torch.randn(600, 8, generator=generator), dim=1).requires_grad_()
    found = Similarities(query, query, query.detach(), excluded=torch.arange(600)[:, None])
    assert kept(lambda: found.relative(0.2).logsumexp(dim=1).sum()) >= 600 * 599


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
