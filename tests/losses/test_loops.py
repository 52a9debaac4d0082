"""Losses in other people's loops: checkpointing, modes, default devices, odd numbers, memory."""

from __future__ import annotations

import copy
from collections.abc import Callable
from functools import partial

import pytest
import torch
import torch.distributed.checkpoint
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.utils.checkpoint import checkpoint

from eqco.losses.functional import info_nce
from eqco.losses.logits import similarities
from eqco.losses.memory_bank import MovingAverages
from eqco.losses.modules import EqCoLoss, InfoNCELoss
from eqco.losses.registry import LOSSES
from eqco.methods import MoCo, SimCLR, SiMo
from eqco.methods.base import Method
from eqco.methods.encoder import build_encoder
from tests.formulas import usual_settings
from tests.losses.test_definition import CLASSES
from tests.losses.test_memory_bank import Loop

Step = Callable[[], Tensor]


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


SIZE = 600  # more similarities than are computed at once
METHODS: dict[str, Callable[[nn.Module], Method]] = {
    "simo": lambda encoder: SiMo(encoder, num_negatives=SIZE - 1),
    "simclr": lambda encoder: SimCLR(encoder, num_negatives=2 * SIZE - 2),
    "moco": lambda encoder: MoCo(encoder, num_negatives=900, queue_size=900, bn_splits=1),
}
OPTIONS = {"two-sided": {}, "one-sided": {"two_sided": False}, "queue": {"queue_size": 900}}


@pytest.mark.parametrize("name", BLOCKWISE)
@pytest.mark.parametrize("method", METHODS)
def test_a_method_keeps_no_matrix_of_similarities_for_the_backward_pass(
    name: str, method: str, generator: torch.Generator
) -> None:
    views, made = torch.randn(2, SIZE, 8, generator=generator), METHODS[method](Rows(8, 8))
    losses = partial(LOSSES[name].losses, **usual_settings(name))
    assert 8 * SIZE <= kept(lambda: losses(made(*views, generator)).mean()) < 40 * SIZE


@pytest.mark.parametrize("name", [name for name in BLOCKWISE if name in CLASSES])
@pytest.mark.parametrize("options", OPTIONS)
def test_a_loss_of_two_views_keeps_no_matrix_of_similarities_for_the_backward_pass(
    name: str, options: str, generator: torch.Generator
) -> None:
    query, key = torch.randn(2, SIZE, 8, generator=generator)
    loss = CLASSES[name](None, **usual_settings(name), **OPTIONS[options])
    assert 8 * SIZE <= kept(lambda: loss(query.requires_grad_(), key)) < 40 * SIZE
