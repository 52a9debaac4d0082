"""The measurement of a machine's throughput, on a small tree."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from eqco.config import Machine
from eqco.data.image_folder import identity, scan
from reproductions.experiments import plan, throughput
from reproductions.scales import SCALES
from tests.conftest import Command

RATES = {"files", "training_on_ready_views", "training", "probing"}
SMALL = {"backbone": "resnet18", "image_size": 32, "batch_size": 8, "num_negatives": 7}


def test_throughput_names_its_rates_and_its_machine(sixteen_images: Path) -> None:
    data, base = f"part:{identity(sixteen_images)}", SCALES["imagenet"].base
    recipe = replace(base, data=data, epochs=1, warmup_epochs=0.0, probe_epochs=1, **SMALL)
    report = throughput.throughput(recipe, scan(sixteen_images), Machine(threads=1), 1)
    assert set(report["images_per_second"]) == RATES
    assert all(rate > 0 for rate in report["images_per_second"].values())
    assert report["device"]
    assert (report["processes"], report["batch_size"]) == (1, recipe.batch_size)


def test_the_command_writes_a_measurement_that_the_plan_reads(
    sixteen_images: Path, tmp_path: Path, run_reproductions: Command,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    rates = dict.fromkeys(RATES, 100.0)
    measured = {"images_per_second": rates, "processes": 1, "date": "2026-01-01", "device": "cpu"}
    monkeypatch.setattr(throughput, "throughput", lambda *_: measured)
    out = tmp_path / "made" / "rates.json"
    words = [f"--data=part:{sixteen_images}", f"--out={out}", "--device=cpu"]
    text = run_reproductions("throughput", *words)
    assert json.loads(out.read_text(encoding="utf-8")) == measured
    assert "training on ready views        100.0 images/s" in text
    assert plan.price_from_measurement(out).origin == "measured 2026-01-01 on 1 x cpu"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (
            ["--scale=glyphs", "--data=part:/x"],
            "throughput is measured at scale imagenet only, got glyphs",
        ),
        (["--data=/x"], "--data takes folder:PATH or part:PATH, got '/x'"),
        (["--data=folder:"], "--data takes folder:PATH or part:PATH, got 'folder:'"),
    ],
)
def test_throughput_of_other_data_is_an_error(
    words: list[str], message: str, run_reproductions: Command
) -> None:
    assert message in run_reproductions("throughput", *words, status=2)
