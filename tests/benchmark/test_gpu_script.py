"""The script for a CUDA device, at tiny size on the CPU."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from benchmark.gpu import __main__ as gpu
from benchmark.gpu import correctness
from eqco.methods import METHODS


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a whole tiny run's report."""
    out: Path = tmp_path_factory.mktemp("gpu")
    words = ["--device", "cpu", "--tiny", "--minutes", "5", "--out", str(out)]
    assert gpu.main(words) == 0
    return out


def test_every_part_reports(folder: Path) -> None:
    report = json.loads((folder / "report.json").read_text(encoding="utf-8"))
    parts = report["parts"]
    assert list(parts) == list(gpu.PARTS)
    for name, found in parts.items():
        assert not {"failed", "left out"} & set(found), name
    for method in METHODS:
        assert parts["CPU and device agree"][method]["gradient"] == 0
        assert parts["two processes"][method] < 1e-3
    assert parts["ResNet-50 at 224 pixels"]["share of the matrix rate"] > 0
    assert "collected" in parts["table 1 at CIFAR-10"]["pytest"]


def test_the_page_has_every_part(folder: Path) -> None:
    page = (folder / "report.md").read_text(encoding="utf-8")
    assert all(f"## {name}\n" in page for name in gpu.PARTS)
    assert "| images a second, training | " in page


def report_of(folder: Path, until: float = float("inf")) -> gpu.Report:
    """A report on the CPU at tiny size."""
    return gpu.Report(folder, "cpu", True, None, until)


def test_a_part_that_fails_is_reported_and_the_next_one_begins(tmp_path: Path) -> None:
    report = report_of(tmp_path)
    report.add("bad", lambda _: {"value": 1 / 0})
    report.add("good", lambda _: {"value": 1})
    written = json.loads((tmp_path / "report.json").read_text(encoding="utf-8"))["parts"]
    assert written["bad"]["failed"] == "ZeroDivisionError: division by zero"
    assert written["good"]["value"] == 1


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
