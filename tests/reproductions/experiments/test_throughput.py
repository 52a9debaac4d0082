"""The measurement of a machine's throughput, on a small tree."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from eqco.config import Machine
from eqco.data.image_folder import identity, scan
from eqco.recipe import Recipe
from reproductions.__main__ import main
from reproductions.experiments import plan, throughput
from reproductions.scales import SCALES
from tests.trees import write_tree

RATES = {"files", "training_on_ready_views", "training", "probing"}
SMALL = {"backbone": "resnet18", "image_size": 32, "batch_size": 8, "num_negatives": 7}


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Sixteen training images."""
    return write_tree(tmp_path_factory.mktemp("imagenet") / "photos", each=4)


@pytest.fixture(scope="module")
def recipe(root: Path) -> Recipe:
    """The recipe of ImageNet with small images, batches and backbone."""
    base = SCALES["imagenet"].base
    return replace(
        base, data=f"part:{identity(root)}", epochs=1, warmup_epochs=0.0, probe_epochs=1, **SMALL
    )


def test_throughput_names_its_rates_and_its_machine(root: Path, recipe: Recipe) -> None:
    found = throughput.throughput(recipe, scan(root), Machine(threads=1), 1)
    assert set(found["images_per_second"]) == RATES
    assert all(rate > 0 for rate in found["images_per_second"].values())
    assert found["device"]
    assert (found["processes"], found["batch_size"]) == (1, recipe.batch_size)


def test_the_command_writes_a_measurement_that_the_plan_reads(
    root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    rates = dict.fromkeys(RATES, 100.0)
    measured = {"images_per_second": rates, "processes": 1, "date": "2026-01-01", "device": "cpu"}
    monkeypatch.setattr(throughput, "throughput", lambda *_: measured)
    out = tmp_path / "made" / "rates.json"
    assert main(["throughput", f"--data=part:{root}", f"--out={out}", "--device=cpu"]) == 0
    assert json.loads(out.read_text(encoding="utf-8")) == measured
    assert "training on ready views        100.0 images/s" in capsys.readouterr().out
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
    words: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["throughput", *words]) == 2
    assert message in capsys.readouterr().err
