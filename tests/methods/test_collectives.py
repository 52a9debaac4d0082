"""What eight processes do together, counted, also on fake CUDA tensors."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import replace

import pytest
import torch
from torch import nn

from eqco.methods import METHODS, build
from eqco.methods.batch_norm import SyncedBatchNorm
from eqco.recipe import Recipe
from eqco.runtime import distributed
from reproductions.scales import SCALES
from tests.fake_cuda import Counted, FakeCuda, Waits, group_of, is_on_device, on_device

# As in tests/test_devices.py.
if tuple(int(part) for part in torch.__version__.split(".")[:2]) < (2, 14):
    pytest.skip("fake CUDA tensors are tried with torch 2.14 and later", allow_module_level=True)

OWN = 8  # images of a process, of 64
LAYERS = 8  # batch norms of an encoder of the scale "smoke" with SiMo's projector
FORWARD = {"simo": 2 * LAYERS + 1, "simclr": LAYERS + 1, "moco": 2, "synco": 2}
# Without a GPU batch norm adds two sums up.
BACKWARD = {"simo": 2 * LAYERS, "simclr": 2 * LAYERS + 1, "moco": 0, "synco": 0}


def smoke(name: str) -> Recipe:
    """A method at the scale "smoke"; batch norm, where it is split, in eight parts."""
    recipe = SCALES["smoke"].baseline(name)
    return replace(recipe, bn_splits=8) if recipe.bn_splits > 1 else recipe


@pytest.mark.parametrize("name", METHODS)
def test_collectives_of_a_forward_pass_which_never_waits(
    name: str, generator: torch.Generator
) -> None:
    """Batch norm gathers once a layer and pass; so do keys, both views, or images and keys."""
    with group_of(8), FakeCuda() as device:
        method = build(smoke(name), 0, "cpu")
        on_device(method)
        method.embedding_checked = True
        views = torch.empty(2, OWN, 1, 24, 24, device="cuda").unbind()
        for device.may_wait in (True, False):  # weights and settings go there at first
            with Counted() as counted:
                found = method(*views, generator)
        assert is_on_device(found.negatives())
    assert counted.collectives == {"_allgather_base_": FORWARD[name]}


@pytest.mark.parametrize("name", METHODS)
def test_collectives_of_a_backward_pass(name: str, generator: torch.Generator) -> None:
    with group_of(8):
        method = build(smoke(name), 0, "cpu")
        found = method(*torch.rand(2, OWN, 1, 24, 24, generator=generator), generator)
        with Counted() as counted:
            found.negatives().sum().backward()
    assert counted.collectives.get("allreduce_", 0) == BACKWARD[name]


def test_key_images_travel_in_the_type_of_autocast(
    monkeypatch: pytest.MonkeyPatch, generator: torch.Generator
) -> None:
    """They are half of the bytes, and the encoder would round them first of all."""
    sent: list[torch.dtype] = []
    gather = distributed.all_gather
    monkeypatch.setattr(
        distributed, "all_gather", lambda out, own: sent.append(own.dtype) or gather(out, own)
    )
    images = torch.rand(2, OWN, 1, 24, 24, generator=generator)
    with group_of(8):
        method = build(smoke("moco"), 0, "cpu")
        for low in (False, True):
            with torch.autocast("cpu", torch.bfloat16, enabled=low):
                method(*images, generator)
    assert sent == [torch.float32, torch.float32, torch.bfloat16, torch.float32]


def test_batch_norm_over_gpus_asks_nothing_of_them() -> None:
    """torch's own layer ends here: it picks processes by a mask, whose length the GPU knows."""
    images = (4, 3, 8, 8)
    with group_of(8), FakeCuda() as device:
        layer = on_device(SyncedBatchNorm(3).requires_grad_(False))  # as in the key encoder
        device.launches.clear()
        out = layer(torch.empty(*images, device="cuda"))
        assert is_on_device(out)
        assert out.shape == images
        assert device.launches.total() == 6
        with pytest.raises(Waits):
            on_device(nn.SyncBatchNorm(3))(torch.empty(*images, device="cuda"))


@pytest.mark.parametrize("processes", [1, 8])
@pytest.mark.parametrize("name", METHODS)
def test_an_encoder_is_one_graph_of_torch_compile(name: str, processes: int) -> None:
    with group_of(processes) if processes > 1 else nullcontext():
        method = build(smoke(name), 0, "cpu")
        torch._dynamo.reset()
        found = torch._dynamo.explain(method.key_encoder)(torch.zeros(OWN, 1, 24, 24))
    assert (found.graph_count, found.graph_break_count) == (1, 0)
