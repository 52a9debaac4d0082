"""Exported backbones load where they are meant to, and give the same features."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
import torchvision

from eqco.artifacts.checkpoint import save
from eqco.methods.encoder import build_encoder
from eqco.methods.simo import SiMo
from eqco.recipe import Recipe
from tests.conftest import Command


def checkpoint_of(backbone: str, folder: Path) -> Path:
    method = SiMo(build_encoder(backbone, 16, seed=0), num_negatives=3)
    recipe = Recipe(backbone=backbone, embedding_dim=16)
    path = folder / f"{backbone}.pt"
    save(path, {"method": method.state_dict(), "recipe": asdict(recipe)})
    return path


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    """A checkpoint of an untrained ResNet-18 with the ImageNet stem."""
    return checkpoint_of("resnet18", tmp_path)


def check_all_but_classifier(backbone: torch.nn.Module, state: dict[str, torch.Tensor]) -> None:
    """Load weights into a model of torchvision, which may lack no other ones than these."""
    keys = backbone.load_state_dict(state, strict=False)
    assert set(keys.missing_keys) == {"fc.weight", "fc.bias"}
    assert not keys.unexpected_keys


def test_torchvision_loads_all_but_its_classifier(
    checkpoint: Path, tmp_path: Path, run_eqco: Command
) -> None:
    out = tmp_path / "backbone.pt"
    run_eqco("export", checkpoint, out, "--to", "torchvision")
    resnet = torchvision.models.resnet18()
    check_all_but_classifier(resnet, torch.load(out, weights_only=True))
    resnet.fc = torch.nn.Identity()
    images = torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    ours = build_encoder("resnet18", 16, seed=0).backbone.eval()
    torch.testing.assert_close(resnet.eval()(images), ours(images))


def test_moco_reads_its_own_names(checkpoint: Path, tmp_path: Path, run_eqco: Command) -> None:
    """Its linear classifier keeps `module.encoder_q.` keys, bar the head, and wants only fc."""
    out, prefix = tmp_path / "moco.pt", "module.encoder_q."
    run_eqco("export", checkpoint, out, "--to", "moco")
    exported = torch.load(out, weights_only=True)
    assert exported["arch"] == "resnet18"
    assert all(key.startswith(prefix) for key in exported["state_dict"])
    state = {key.removeprefix(prefix): value for key, value in exported["state_dict"].items()}
    check_all_but_classifier(torchvision.models.resnet18(), state)


def create_model(name: str, num_classes: int) -> torch.nn.Module:
    """As timm's: its ResNets have torchvision's parameters, and none of a classifier here."""
    assert num_classes == 0
    model = torchvision.models.get_model(name)
    model.fc = torch.nn.Identity()
    return model


@pytest.mark.parametrize(
    ("backbone", "layout"),
    [
        ("resnet18", []), ("resnet18-small-images", []), ("tiny-gray", []),
        ("resnet18", ["--to", "timm"]), ("resnet18-small-images", ["--to", "timm"]),
    ],
)  # fmt: skip
def test_the_lines_that_export_prints_load_what_it_wrote(
    backbone: str, layout: list[str], tmp_path: Path, run_eqco: Command
) -> None:
    path, out = checkpoint_of(backbone, tmp_path), tmp_path / "backbone.pt"
    first, *lines = run_eqco("export", path, out, *layout).splitlines()
    assert first.startswith(f"wrote {out}: {backbone}, ")
    code = [line.strip() for line in lines if line.startswith("    ")]
    assert sum("conv1" in line or "maxpool" in line for line in code) == 2 * ("small-" in backbone)
    names: dict[str, Any] = {"torch": torch, "torchvision": torchvision}
    names["timm"] = SimpleNamespace(create_model=create_model)
    exec("\n".join(code), names)
    own = build_encoder(backbone, 16, seed=0).backbone.state_dict()
    loaded = names["model"].state_dict()
    assert own.keys() <= loaded.keys()
    for name, value in own.items():
        torch.testing.assert_close(loaded[name], value, rtol=0, atol=0)


def test_an_impossible_export_ends_with_one_sentence(
    checkpoint: Path, tmp_path: Path, run_eqco: Command
) -> None:
    out = tmp_path / "out.pt"

    def error(path: Path, *words: str) -> str:
        return run_eqco("export", path, out, *words, status=2)

    assert "none.pt cannot be read" in error(tmp_path / "none.pt")
    gray, small = (checkpoint_of(f, tmp_path) for f in ("tiny-gray", "resnet18-small-images"))
    sentence = (
        "backbone 'tiny-gray' is not one of torchvision or timm: train with --backbone resnet"
    )
    for layout in ("torchvision", "timm", "moco"):
        assert sentence in error(gray, "--to", layout)
    assert "has a stem of 3x3 for images of 32 pixels" in error(small, "--to", "moco")
    assert "unknown layout 'keras'" in error(checkpoint, "--to", "keras")
    assert not out.exists()
    before = small.read_bytes()
    text = run_eqco("export", checkpoint, small, status=2)
    assert "resnet18-small-images.pt is the checkpoint of a run: name" in text
    assert small.read_bytes() == before
