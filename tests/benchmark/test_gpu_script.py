"""The script for a CUDA device, at tiny size on the CPU."""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from benchmark.gpu import __main__ as gpu
from benchmark.gpu import correctness, steps
from benchmark.training import Bare
from eqco.config import Machine
from eqco.data import streaming
from eqco.data.image_folder import scan
from eqco.methods import METHODS, build
from tests.fake_cuda import FakeCuda, is_on_device, on_device
from tests.trees import write_tree


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a whole tiny run's report."""
    out: Path = tmp_path_factory.mktemp("gpu")
    words = ["--device", "cpu", "--tiny", "--minutes", "60", "--out", str(out)]
    assert gpu.main(words) == 0
    return out


def test_every_part_reports(folder: Path) -> None:
    report = json.loads((folder / "report.json").read_text(encoding="utf-8"))
    parts = report["parts"]
    assert list(parts) == list(gpu.PARTS)
    for name, values in parts.items():
        assert not {"failed", "left out"} & set(values), name
    for method in METHODS:
        assert parts["CPU and device agree"][method]["gradient"] == 0
        assert parts["two processes"][method] < 1e-3
    for name in steps.LAUNCHES:
        assert parts["waits a step"][name]["a step"] == 0
        assert parts["launches a step"][name] > 100
        assert parts["images a second"][name]["share of the bare loop"] > 0
        assert parts["images a second"][name]["images/s, estimated"] == "none"
    assert parts["ResNet-50 from files"]["share of the matrix rate"] > 0
    assert "collected" in parts["table 1 at CIFAR-10"]["pytest"]


def test_the_page_has_every_part(folder: Path) -> None:
    page = (folder / "report.md").read_text(encoding="utf-8")
    assert all(f"## {name}\n" in page for name in gpu.PARTS)
    assert "| images a second, training | " in page


def test_report_and_status_say_which_budget_was_missed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    name = "cifar10, moco"
    measured: dict[str, dict[str, Any]] = {
        "waits a step": {name: {"a step": 3.0, "moco.py:118": 12}},
        "launches a step": {name: 9000.0, "cifar10, simo": 590.0},
        "images a second": {name: {"share of the bare loop": 0.5}},
    }
    parts = {part: lambda _, values=values: dict(values) for part, values in measured.items()}
    monkeypatch.setattr(gpu, "PARTS", {"wrong": lambda _: {"value": 1 / 0}, **parts})
    assert gpu.main(["--device", "cpu", "--out", str(tmp_path)]) == 1 + 4 + 8 + 16
    sentences = [
        f"{name}: 3 waits, budget 0",
        f"{name}: 9,000 launches, budget 1,500",
        f"{name}: 0.5 of the bare loop, budget 0.9",
    ]
    assert capsys.readouterr().out.splitlines()[-3:] == [f"missed: {line}" for line in sentences]
    written = json.loads((tmp_path / "report.json").read_text(encoding="utf-8"))
    assert [line for lines in written["missed"].values() for line in lines] == sentences
    assert written["parts"]["wrong"]["failed"] == "ZeroDivisionError: division by zero"
    page = (tmp_path / "report.md").read_text(encoding="utf-8")
    assert all(f"- missed: {line}\n" in page for line in sentences)


def test_waits_are_counted_by_their_place(monkeypatch: pytest.MonkeyPatch) -> None:
    modes: list[str] = []
    monkeypatch.setattr(torch.cuda, "set_sync_debug_mode", modes.append)

    def step() -> None:
        warnings.warn("called a synchronizing CUDA operation", UserWarning, stacklevel=1)
        warnings.warn("something else", UserWarning, stacklevel=1)

    places = steps.waiting_places(step)
    assert modes == ["warn", "default"]
    assert list(places.values()) == [4]
    assert next(iter(places)).startswith("test_gpu_script.py:")


def test_a_group_of_steps_is_waited_for_once(monkeypatch: pytest.MonkeyPatch) -> None:
    done: list[str] = []
    monkeypatch.setattr(torch.cuda, "synchronize", lambda: done.append("wait"))
    launched, taken = steps.group_seconds(lambda: done.append("step"), "cuda")
    assert done == [*["step"] * steps.GROUP, "wait"]
    assert 0 < launched <= taken


def test_steps_of_the_large_scale_decode_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streaming, "decode", lambda path: pytest.fail(f"{path} was read"))
    recipe = steps.recipe_for("imagenet", "simo", tiny=True)
    tree = scan(write_tree(tmp_path / "tree"))
    images = steps.ReadyCrops(tree, recipe, Machine(threads=1))
    for step in (0, 0, 5):
        assert images.views(step)[0].shape == (8, 3, 16, 16)


# As in tests/test_devices.py.
@pytest.mark.skipif(torch.__version__ < "2.14", reason="fake CUDA tensors need torch 2.14")
@pytest.mark.parametrize("name", steps.LAUNCHES)
def test_views_and_bare_loop_of_a_step_are_on_the_device(name: str, tmp_path: Path) -> None:
    recipe = steps.recipe_for(*name.split(", "), tiny=True)
    report = SimpleNamespace(data=write_tree(tmp_path / "tree"))
    with FakeCuda():
        views = steps.device_images(report, recipe, Machine(device="cuda")).views(0)
        bare = Bare.__new__(Bare)  # an optimiser needs a device
        bare.recipe, bare.views, bare.device = recipe, views, views[0].device
        bare.method = on_device(build(recipe, 0, "cpu"))
        assert is_on_device(*views, bare.loss())


def test_steps_of_one_gpu_have_their_batch() -> None:
    recipes = [steps.recipe_for(*name.split(", "), tiny=False) for name in steps.LAUNCHES]
    assert [recipe.batch_size for recipe in recipes] == 4 * [256] + 4 * [32]
    assert {(recipe.num_negatives, recipe.precision) for recipe in recipes} == {(16, "bfloat16")}


def test_an_estimate_is_of_the_device(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda: "NVIDIA A100-SXM4-80GB")
    assert steps.estimate("cuda", "cifar10, simo") == 17_000
    assert steps.estimate("cuda", "cifar10, synco") == "none"


def report_of(folder: Path, until: float = float("inf")) -> gpu.Report:
    """A report on the CPU at tiny size."""
    return gpu.Report(folder, "cpu", True, None, until)


def test_nothing_begins_when_the_time_is_over(tmp_path: Path) -> None:
    report = report_of(tmp_path, until=0.0)
    report.add("late", lambda _: {"value": 1})
    assert report.parts["late"]["left out"] == "no time was left"


def test_a_device_that_computes_otherwise_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls, follow = [0], correctness.follow

    def other(
        method: str, device: str, views: list[correctness.Views]
    ) -> tuple[list[float], dict[str, torch.Tensor]]:
        calls[0] += 1
        losses, gradients = follow(method, device, views)
        if calls[0] == 2:
            gradients = {name: value * 1.001 for name, value in gradients.items()}
        return losses, gradients

    monkeypatch.setattr(correctness, "follow", other)
    with pytest.raises(ValueError, match="simo: gradient differs"):
        correctness.agreement(report_of(tmp_path))


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device")
def test_without_a_device_the_script_says_what_to_do(capsys: pytest.CaptureFixture[str]) -> None:
    assert gpu.main([]) == 2
    assert "--device cpu --tiny" in capsys.readouterr().err
