"""The meter of throughput: calls are timed without the warm-up, and a rate makes a price."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch

from eqco.artifacts.run_files import Run
from eqco.config import Machine
from eqco.data import in_memory
from eqco.data.glyphs import SIDE
from eqco.data.image_folder import IMAGENET
from eqco.engine import precision, throughput
from eqco.engine.precision import fast_precision
from eqco.engine.throughput import SIZES, Size, images_per_second, minutes, seconds_per_call
from eqco.recipe import Recipe


def test_images_are_those_of_the_data() -> None:
    assert SIZES["glyphs"].images == len(in_memory.glyph_set(1.0).train_images)
    assert SIZES["glyphs"].side == SIDE
    assert SIZES["imagenet"].images == IMAGENET[1]


def test_minutes_follow_the_rate() -> None:
    size = SIZES["cifar10"]
    assert minutes(size, 1000.0) == pytest.approx(50_000 * 200 / 1000 / 60)
    assert minutes(size, 500.0) == pytest.approx(2 * minutes(size, 1000.0))


def test_a_rate_is_measured_in_one_step_at_least() -> None:
    size = Size(Recipe(backbone="tiny-gray"), 24, 1, 1000, 8)
    assert images_per_second(size, Machine(threads=1), 0.0) > 0


@pytest.mark.parametrize("units", [set(), {"amx_bf16"}], ids=["emulated", "native"])
def test_a_price_is_of_the_recipes_precision_where_it_is_not_emulated(
    units: set[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(precision, "reported_units", lambda: units)
    made: list[str] = []

    def training(run: Run, _: object) -> SimpleNamespace:
        assert torch.backends.cudnn.benchmark  # as in a run
        made.append(run.recipe.precision)
        return SimpleNamespace(advance=lambda: 0.0)

    monkeypatch.setattr(throughput, "Pretraining", training)
    for name in ("glyphs", "imagenet"):
        images_per_second(SIZES[name], Machine(threads=1), 0.0)
    assert made == ["float32", "bfloat16" if units else "float32"]
    assert fast_precision("bfloat16", "cuda") == "bfloat16"


@pytest.mark.parametrize("device", ["cuda:1", "mps", "cpu"])
def test_only_the_device_that_works_is_waited_for(
    device: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    waits: list[str] = []
    for module in (torch.cuda, torch.mps):
        monkeypatch.setattr(module, "synchronize", lambda each=module: waits.append(each.__name__))
    seconds_per_call(int, device)
    assert waits == {"cuda:1": ["torch.cuda"] * 2, "mps": ["torch.mps"] * 2, "cpu": []}[device]


@pytest.mark.parametrize(("rounds", "seconds", "timed"), [(5, 0.0, 5), (1, 7.0, 4)])
def test_calls_are_timed_without_the_warm_up(rounds: int, seconds: float, timed: int) -> None:
    """Each call takes two seconds."""
    calls: list[int] = []
    taken = seconds_per_call(
        lambda: calls.append(1), "cpu", rounds=rounds, seconds=seconds, warm_up=3,
        clock=lambda: 2.0 * len(calls),
    )  # fmt: skip
    assert (taken, len(calls)) == (2.0, 3 + timed)
