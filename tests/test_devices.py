"""A step never waits for the device and launches few operations, on fake CUDA tensors."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import replace
from typing import Any, NamedTuple

import pytest
import torch
from torch import Tensor

import eqco
from eqco.config import Machine
from eqco.data import Images, augmentations
from eqco.data.in_memory import Dataset, InMemory
from eqco.data.streaming import FromFiles
from eqco.losses.memory_bank import MovingAverages
from eqco.losses.registry import LOSSES
from eqco.methods import METHODS, build
from eqco.methods.base import Method
from eqco.recipe import Recipe
from eqco.runtime.rng import generator_for
from eqco.runtime.transfer import to_device
from reproductions.scales import SCALES
from tests.fake_cuda import FakeCuda, Waits, autocast, is_on_device, on_device

# Of the tests' tool, not of the package: a fake convolution aborts torch 2.9, and works in 2.14.
if tuple(int(part) for part in torch.__version__.split(".")[:2]) < (2, 14):
    pytest.skip("fake CUDA tensors are tried with torch 2.14 and later", allow_module_level=True)

BATCH = 64


def empty(*shape: int, dtype: torch.dtype = torch.float32) -> Tensor:
    """A tensor on the device."""
    return torch.empty(*shape, device="cuda", dtype=dtype)


def method_on_device(recipe: Recipe) -> Method:
    """The method of a recipe on the device."""
    method = build(recipe, 0, "cpu")
    on_device(method)
    method.embedding_checked = True  # fake tensors have no lengths to look at
    return method


VIEWS: dict[str, Callable[..., Tensor]] = {
    **{
        name: lambda images, source, view=view: view(images, 0.2, source)
        for name, view in augmentations.VIEWS.items()
    },
    **{f"{name}, mild": view for name, view in augmentations.MILD.items()},
    **{f"{name}, cropped": view for name, view in augmentations.AFTER_CROP.items()},
}


def in_memory(recipe: Recipe, channels: int, side: int) -> InMemory:
    """Two batches of images, of which the pixels alone are real."""
    images = torch.zeros(2 * recipe.batch_size, channels, side, side, dtype=torch.uint8)
    labels = torch.arange(len(images)) % 2
    data = Dataset(images, labels, images[:8], labels[:8], 2, "none")
    return InMemory(data, recipe, 0, Machine(device="cuda"))


def from_files(recipe: Recipe) -> FromFiles:
    """Crops as the loader brings them, pinned, without files."""
    images = FromFiles.__new__(FromFiles)
    images.recipe, images.seed, images.machine = recipe, 0, Machine(device="cuda")
    images.mean = images.std = empty(3)
    crops = torch.zeros(recipe.batch_size, 2, 3, 40, 40, dtype=torch.uint8).pin_memory()
    images.next_step, images.ahead = 0, itertools.repeat((crops, None))
    return images


class Operations(NamedTuple):
    """Operations of the device a step, each of which the processor has to launch.

    Attributes:
        views: both views of all images.
        encoders: their embeddings, in bfloat16, with the conversion of weights.
        method: the rest of it: the moving average, the queue, which keys are negatives.
        loss: its forward pass.
    """

    views: int
    encoders: int
    method: int
    loss: int


# At most, with K = 16 and with all negatives, whatever the size of the batch.
BUDGET = {
    ("cifar10", "simo"): Operations(74, 240, 4, 8),
    ("cifar10", "moco"): Operations(74, 556, 13, 13),
    ("cifar10", "simclr"): Operations(74, 120, 7, 8),
    ("cifar10", "synco"): Operations(74, 556, 47, 13),
    ("imagenet", "simo"): Operations(286, 586, 4, 8),
    ("imagenet", "moco"): Operations(286, 1430, 13, 13),
    ("imagenet", "simclr"): Operations(286, 293, 7, 8),
    ("imagenet", "synco"): Operations(286, 1430, 47, 13),
}


class Step:
    """Forward passes of training on the device, whose operations are counted."""

    def __init__(self, device: FakeCuda, recipe: Recipe, images: Images) -> None:
        self.device, self.recipe, self.images = device, recipe, images
        self.method = method_on_device(recipe)
        self.in_encoders = 0
        for encoder in {self.method.encoder, self.method.key_encoder}:
            encoder.register_forward_pre_hook(lambda *_: self.add(-device.launches.total()))
            encoder.register_forward_hook(lambda *_: self.add(device.launches.total()))

    def add(self, count: int) -> None:
        self.in_encoders += count

    def counted(self) -> int:
        """Operations since the last call."""
        count = self.device.launches.total()
        self.device.launches.clear()
        return count

    def operations(self, step: int) -> Operations:
        """Those of a step."""
        self.counted()
        self.in_encoders = 0
        views = self.images.views(step)
        of_views = self.counted()
        with autocast(torch.bfloat16):  # the precision of both scales
            found = self.method(*views, generator_for(0, "negatives", step))
        of_method = self.counted() - self.in_encoders
        loss = LOSSES[self.recipe.loss].losses(found, **self.recipe.loss_settings()).mean()
        assert is_on_device(*views, loss)
        return Operations(of_views, self.in_encoders, of_method, self.counted())


@pytest.mark.parametrize(("scale", "method"), BUDGET)
def test_a_step_never_waits_for_the_device_and_keeps_its_budget(
    device: FakeCuda, scale: str, method: str
) -> None:
    """After the first one, which brings images and weights there; with both K in turn."""
    recipe = SCALES[scale].baseline(method)
    device.may_wait = True
    images = in_memory(recipe, 3, 32) if scale == "cifar10" else from_files(recipe)
    steps = Step(device, recipe, images)
    steps.operations(0)
    device.may_wait = False
    for step in range(1, 3):
        steps.method.num_negatives = recipe.num_negatives if step % 2 else 16
        found = steps.operations(step)._asdict()
        most = BUDGET[scale, method]._asdict()
        assert not {part: count for part, count in found.items() if count > most[part]}


def test_every_method_has_a_budget() -> None:
    assert set(BUDGET) == set(itertools.product(("cifar10", "imagenet"), METHODS))


@pytest.mark.parametrize("name", VIEWS)
def test_operations_of_a_view_do_not_grow_with_its_images(
    device: FakeCuda, name: str, generator: torch.Generator
) -> None:
    found = []
    for count in (BATCH, 4 * BATCH):
        device.launches.clear()
        VIEWS[name](empty(count, 1 if name.startswith("glyphs") else 3, 24, 24), generator)
        found.append(device.launches.copy())
    assert found[0] == found[1]


def test_moving_averages_of_a_batch_do_not_wait(device: FakeCuda) -> None:
    averages = MovingAverages(4 * BATCH)
    on_device(averages)
    assert is_on_device(averages.update(torch.arange(BATCH), empty(2 * BATCH), 0.5))


@pytest.mark.parametrize("settings", [{}, {"num_negatives": None}, {"queue_size": 128}], ids=str)
def test_a_loss_in_a_loop_of_ones_own_does_not_wait(
    device: FakeCuda, settings: dict[str, Any]
) -> None:
    loss = eqco.EqCoLoss(alpha=64, **settings)
    for step in range(3):
        device.may_wait = step == 0  # the queue is made
        assert is_on_device(loss(empty(BATCH, 16), empty(BATCH, 16)))


# What follows proves that the tests above can fail.


def test_a_number_of_the_device_cannot_be_read(device: FakeCuda) -> None:
    for read in (Tensor.item, Tensor.nonzero, Tensor.cpu, bool):
        with pytest.raises(Waits):
            read(empty(1))
    with pytest.raises(Waits, match="reads the device"):
        empty(3)[empty(3) > 0]


def test_a_copy_that_waits_is_found_at_its_place(device: FakeCuda) -> None:
    drawn = torch.rand(2, 4)
    waits: tuple[Callable[[], object], ...] = (
        lambda: drawn.to("cuda"),
        lambda: drawn.to("cuda", non_blocking=True),
        lambda: drawn.pin_memory().to("cuda"),
        lambda: drawn.pin_memory().T.to("cuda", non_blocking=True),
        lambda: drawn.pin_memory().to("cuda", torch.float16, non_blocking=True),
        lambda: torch.tensor([1.0, 2.0], device="cuda"),
        lambda: empty(4).copy_(drawn[0]),
        lambda: empty(4)[torch.tensor([0, 2])],
    )
    for copy in waits:
        with pytest.raises(Waits):
            copy()
    with pytest.raises(Waits, match=r"streaming.py:\d+: .*to\(self.machine.device"):
        from_files(replace(SCALES["imagenet"].base, batch_size=16, num_negatives=4)).ready(
            torch.zeros(2, 3, 8, 8, dtype=torch.uint8)
        )
    assert is_on_device(to_device(drawn, torch.device("cuda")))
