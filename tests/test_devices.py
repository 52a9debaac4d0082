"""A step never waits for the device and launches few operations, on fake CUDA tensors."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from types import SimpleNamespace
from typing import Any, NamedTuple

import pytest
import torch
from torch import Tensor

import eqco
from eqco.config import Machine
from eqco.data import Images, augmentations
from eqco.data.in_memory import Dataset, InMemory
from eqco.data.streaming import FromFiles
from eqco.evaluation import metrics
from eqco.evaluation.features import Frozen
from eqco.evaluation.linear_on_crops import CropProbe
from eqco.losses.blockwise import LogSumExp
from eqco.losses.memory_bank import MovingAverages
from eqco.losses.registry import LOSSES
from eqco.losses.sampling import DRAWINGS
from eqco.methods import METHODS, build
from eqco.methods.base import Method
from eqco.recipe import Recipe
from eqco.runtime.rng import RankSlice, generator_for
from eqco.runtime.transfer import to_device
from reproductions.scales import SCALES
from tests.fake_cuda import FakeCuda, Waits, autocast, is_on_device, on_device
from tests.formulas import usual_settings

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


@pytest.mark.parametrize("scale", ["cifar10", "imagenet"])
@pytest.mark.parametrize("method", METHODS)
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


@pytest.mark.parametrize("part", [False, True])
@pytest.mark.parametrize("name", VIEWS)
def test_operations_of_a_view_do_not_grow_with_its_images(
    device: FakeCuda, name: str, part: bool, generator: torch.Generator
) -> None:
    found = []
    for count in (BATCH, 4 * BATCH):
        device.launches.clear()
        images = empty(count, 1 if name.startswith("glyphs") else 3, 24, 24)
        view = VIEWS[name](images, RankSlice(generator, 2 * count, count) if part else generator)
        assert is_on_device(view)
        assert view.shape == images.shape
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


def method_of(
    name: str, negatives: int | None = None, drawing: str = "independent", draws: int = 1
) -> Method:
    """A method of the scale "smoke" on the device; all negatives where none are given."""
    recipe = SCALES["smoke"].baseline(name)
    if draws > 1:
        recipe = replace(recipe, num_synthetic=0)  # they are made for one draw
    if negatives:
        recipe = replace(recipe, num_negatives=negatives, drawing=drawing, draws=draws)
    return method_on_device(recipe)


# 1 negative is taken by its place, 40 from all; with several draws, of 4.
COUNTS = [(1, 1), (4, 1), (40, 1), (None, 1), (4, 2), (4, 15)]


@pytest.mark.parametrize(("negatives", "draws"), COUNTS)
@pytest.mark.parametrize("drawing", DRAWINGS)
@pytest.mark.parametrize("method", METHODS)
def test_every_method_drawing_and_loss(
    device: FakeCuda, method: str, drawing: str, negatives: int | None, draws: int,
    generator: torch.Generator,
) -> None:  # fmt: skip
    images = empty(BATCH, 1, 24, 24)
    built = method_of(method, negatives, drawing, draws)
    for _ in range(2):  # MoCo takes the first batch into its queue
        similarities = built(images, images, generator)
        assert is_on_device(similarities.negatives(), similarities.positive)
        for name, loss in LOSSES.items():
            if loss.fewest <= similarities.num_negatives:
                losses = loss.losses(similarities, **usual_settings(name))
                assert is_on_device(losses)
                assert len(losses) == draws * (2 * BATCH if method == "simclr" else BATCH)


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize("name", LOSSES)
def test_every_loss_of_explicit_similarities(device: FakeCuda, name: str, reduction: str) -> None:
    settings = {"reduction": reduction, **usual_settings(name)}
    assert is_on_device(LOSSES[name].function(empty(8), empty(8, 5), **settings))


@pytest.mark.parametrize("way", ["all", "excluded", "columns"])
def test_the_backward_pass_of_the_similarities(device: FakeCuda, way: str) -> None:
    """Autograd's engine needs a device, so its function is called by hand."""
    query, keys = empty(8, 16), empty(200, 16)
    columns = empty(8, 3, dtype=torch.long) if way == "columns" else None
    excluded = empty(8, 2, dtype=torch.long) if way == "excluded" else None
    saved: dict[str, Any] = {}
    context = SimpleNamespace(
        needs_input_grad=(True, True),
        save_for_backward=lambda *these: saved.update(all=these),
        mark_non_differentiable=lambda _: None,
        set_materialize_grads=lambda _: None,
    )
    given = (query, keys, columns, excluded)
    with torch.no_grad():
        sums, means = LogSumExp.forward(*given)
        LogSumExp.setup_context(context, given, (sums, means))
        context.saved_tensors = saved["all"]
        of_query, of_keys, *_ = LogSumExp.backward(context, empty(8), None)
    assert is_on_device(sums, means, of_query, of_keys)
    assert (of_query.shape, of_keys.shape) == (query.shape, keys.shape)


def test_images_in_memory(device: FakeCuda) -> None:
    """Also on a device that has no float64."""
    device.may_wait, device.has_float64 = True, False
    found = in_memory(Recipe(batch_size=BATCH, num_negatives=4), 1, 24)
    assert is_on_device(*found.views(0), *found.sample(8))
    for part in ("train", "held_out"):
        for view, right in (*found.whole(part), *found.perturbed(part, 2)):
            assert is_on_device(view, right)


def test_crops_of_the_probe_go_to_the_device_without_waiting(device: FakeCuda) -> None:
    """The loader pins each batch; joined on the CPU, they would be so no more."""
    probe = CropProbe.__new__(CropProbe)  # without files
    probe.device = "cuda"
    batch = torch.zeros(4, 3, 40, 40, dtype=torch.uint8), torch.zeros(4, dtype=torch.long)
    probe.batches = iter([tuple(each.pin_memory() for each in batch) for _ in range(3)])
    device.may_wait = False
    crops, labels, size = probe.next_images()
    assert is_on_device(crops, labels)
    assert (len(crops), len(labels), size) == (12, 12, 4)


@pytest.mark.parametrize("name", metrics.METRICS)
def test_every_metric(device: FakeCuda, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Up to the number itself; of the linear probe's fit one evaluation, without a step.

    Also on a device that has no float64.
    """
    compared: list[Tensor] = []

    def step(optimizer: torch.optim.LBFGS, evaluate: Callable[[], Tensor]) -> None:
        compared.append(evaluate())
        (weights,) = optimizer.param_groups[0]["params"]
        assert weights.grad.shape == weights.shape == (5, 17)
        compared.append(weights.grad)

    monkeypatch.setattr(torch.optim.LBFGS, "step", step)
    device.may_wait, device.has_float64 = True, False
    labels = empty(40, dtype=torch.long)
    train, test = ((empty(40, 16), labels) for _ in range(2))
    compared.append(metrics.METRICS[name].correct(train, test, 5, Recipe()))
    assert is_on_device(*compared)
    assert len(compared) == (3 if name == "linear" else 1)
    assert compared[-1].shape == (40,)


@pytest.mark.filterwarnings("ignore:CUDA is not available:UserWarning")
def test_features(device: FakeCuda) -> None:
    backbone = method_of("simo").encoder.backbone
    assert is_on_device(Frozen(backbone, "bfloat16").features(empty(8, 1, 24, 24)))


def test_what_waits_for_the_device_is_found_at_its_place(device: FakeCuda) -> None:
    drawn = torch.rand(2, 4)
    waits: tuple[Callable[[], object], ...] = (
        *(partial(read, empty(1)) for read in (Tensor.item, Tensor.nonzero, Tensor.cpu, bool)),
        lambda: empty(3)[empty(3) > 0],
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


def test_float64_on_a_device_without_it_and_a_tensor_left_on_the_cpu_are_found(
    device: FakeCuda,
) -> None:
    device.has_float64 = False
    with pytest.raises(TypeError, match="no float64"):
        empty(3).double()
    with pytest.raises(RuntimeError, match=r"[Dd]evice"):
        empty(3) + torch.zeros(3)
