"""What a machine does: images per second, and whether it emulates bfloat16."""

from __future__ import annotations

import warnings
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from eqco.artifacts.run_files import Run
from eqco.config import Machine
from eqco.data import in_memory, open_images
from eqco.data.glyphs import SIDE
from eqco.data.image_folder import IMAGENET
from eqco.engine import precision, pretrain, throughput
from eqco.engine.precision import emulation, fast_precision, reported_units
from eqco.engine.throughput import SIZES, Size, images_per_second, seconds_per_call
from eqco.recipe import Recipe


def test_images_are_those_of_the_data() -> None:
    assert SIZES["glyphs"].images == len(in_memory.glyph_set(1.0).train_images)
    assert SIZES["glyphs"].side == SIDE
    assert SIZES["imagenet"].images == IMAGENET[1]


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


# A CPU that emulates bfloat16 is named before it trains in it.


RECIPE = Recipe(data_part=0.1, batch_size=32, epochs=1, num_negatives=4)


def report(monkeypatch: pytest.MonkeyPatch, by_torch: Iterable[str] | None, path: Path) -> None:
    """Let torch report some capabilities, an early one none, and Linux those in a file."""
    monkeypatch.delattr(torch.cpu, "get_capabilities", raising=False)
    if by_torch is not None:
        found = dict.fromkeys(by_torch, True)
        monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: found, raising=False)
    monkeypatch.setattr(precision, "CPUINFO", path)


@pytest.mark.parametrize(
    ("by_torch", "by_linux", "expected"),
    [
        (["avx2", "avx512_bf16"], "", {"avx512_bf16"}),
        (["neon", "bf16"], "", {"bf16"}),
        (["avx2"], "flags : avx2 amx_bf16", set()),  # torch knows better what it can use
        ([], "flags\t: fpu avx2 avx512_bf16 amx_bf16", {"avx512_bf16", "amx_bf16"}),
        ([], "flags\t: fpu avx2 avx512f", set()),
        ([], None, set()),
        (None, "flags : avx512_bf16", {"avx512_bf16"}),
    ],
    ids=["x86", "arm", "none-by-torch", "linux", "none-by-linux", "nobody-says", "early torch"],
)
def test_units_are_those_that_torch_or_linux_reports(
    by_torch: list[str] | None,
    by_linux: str | None,
    expected: set[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    path = tmp_path / "cpuinfo"
    if by_linux is not None:
        path.write_text(by_linux, encoding="utf-8")
    report(monkeypatch, by_torch, path)
    assert reported_units() == expected


def test_only_bfloat16_on_a_cpu_without_units_is_emulated(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    report(monkeypatch, ["avx2"], tmp_path / "none")
    assert "about ten times as long as in float32" in emulation("bfloat16", "cpu")
    assert emulation("float32", "cpu") == emulation("bfloat16", "cuda:1") == ""
    report(monkeypatch, ["amx_bf16"], tmp_path / "none")
    assert emulation("bfloat16", "cpu") == ""


def test_pretraining_warns_of_emulation_once_and_of_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    report(monkeypatch, ["avx2"], tmp_path / "none")
    machine = Machine(threads=1, checkpoints=tmp_path)
    images = open_images(RECIPE, 0, machine)
    low = replace(RECIPE, precision="bfloat16")
    with pytest.warns(RuntimeWarning, match="reports no units for it.*: use a GPU or float32"):
        pretrain.Pretraining(Run(low, 0, machine), images)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        pretrain.Pretraining(Run(RECIPE, 0, machine), images)
