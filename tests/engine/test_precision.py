"""A CPU that emulates bfloat16 is named before it trains in it."""

from __future__ import annotations

import warnings
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from eqco.artifacts.run_files import Run
from eqco.config import Machine
from eqco.data import open_images
from eqco.engine import precision, pretrain
from eqco.engine.precision import emulation, reported_units
from eqco.recipe import Recipe

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
