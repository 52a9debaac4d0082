"""No tensor is left on the wrong device: forward passes on fake CUDA tensors, without a GPU."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor

from eqco.evaluation import metrics
from eqco.evaluation.features import Frozen
from eqco.evaluation.linear_on_crops import CropProbe
from eqco.losses.blockwise import LogSumExp
from eqco.losses.registry import LOSSES
from eqco.losses.sampling import DRAWINGS
from eqco.methods import METHODS
from eqco.methods.base import Method
from eqco.recipe import Recipe
from eqco.runtime.rng import RankSlice
from reproductions.scales import SCALES
from tests.fake_cuda import FakeCuda, is_on_device
from tests.formulas import usual_settings
from tests.test_devices import BATCH, VIEWS, empty, from_files, in_memory, method_on_device


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


@pytest.mark.parametrize("name", VIEWS)
@pytest.mark.parametrize("part", [False, True])
def test_every_view(device: FakeCuda, name: str, part: bool, generator: torch.Generator) -> None:
    images = empty(BATCH, 1 if name.startswith("glyphs") else 3, 24, 24)
    source = RankSlice(generator, 2 * BATCH, BATCH) if part else generator
    view = VIEWS[name](images, source)
    assert is_on_device(view)
    assert view.shape == images.shape


def test_images_in_memory(device: FakeCuda) -> None:
    """Also on a device that has no float64."""
    device.may_wait, device.has_float64 = True, False
    found = in_memory(Recipe(batch_size=BATCH, num_negatives=4), 1, 24)
    assert is_on_device(*found.views(0), *found.sample(8))
    for part in ("train", "held_out"):
        for view, right in (*found.whole(part), *found.perturbed(part, 2)):
            assert is_on_device(view, right)


def test_images_from_files(device: FakeCuda) -> None:
    images = from_files(replace(SCALES["imagenet"].base, batch_size=16, num_negatives=4))
    crops = torch.zeros(16, 3, 40, 40, dtype=torch.uint8).pin_memory()
    assert is_on_device(images.ready(crops), *images.views(0))


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


# What follows proves that the tests above can fail.


def test_float64_on_a_device_without_it_is_found(device: FakeCuda) -> None:
    device.has_float64 = False
    with pytest.raises(TypeError, match="no float64"):
        empty(3).double()


def test_a_tensor_left_on_the_cpu_in_a_method_is_found(
    device: FakeCuda, monkeypatch: pytest.MonkeyPatch, generator: torch.Generator
) -> None:
    built, images = method_of("moco", 4), empty(BATCH, 1, 24, 24)
    encode = built.encoder.forward
    monkeypatch.setattr(built.encoder, "forward", lambda x: encode(x) + torch.zeros(128))
    with pytest.raises(RuntimeError, match=r"[Dd]evice"):
        built(images, images, generator)
