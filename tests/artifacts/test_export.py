"""Exported backbones load where they are meant to, and give the same features."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
import torchvision

from eqco.__main__ import main
from eqco.artifacts.checkpoint import save
from eqco.methods.encoder import build_encoder
from eqco.methods.simo import SiMo
from eqco.recipe import Recipe


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, SiMo]:
    """A checkpoint of an untrained ResNet-18 with the ImageNet stem, and its method."""
    method = SiMo(build_encoder("resnet18", 32, seed=0), num_negatives=3)
    recipe = Recipe(backbone="resnet18", embedding_dim=32, views="photos")
    path = tmp_path_factory.mktemp("export") / "run.pt"
    save(path, {"method": method.state_dict(), "recipe": asdict(recipe)})
    return path, method


def test_torchvision_loads_all_but_its_classifier(
    checkpoint: tuple[Path, SiMo], tmp_path: Path
) -> None:
    path, method = checkpoint
    out = tmp_path / "backbone.pt"
    assert main(["export", str(path), str(out), "--to", "torchvision"]) == 0
    resnet = torchvision.models.resnet18()
    found = resnet.load_state_dict(torch.load(out, weights_only=True), strict=False)
    assert set(found.missing_keys) == {"fc.weight", "fc.bias"}
    assert not found.unexpected_keys
    resnet.fc = torch.nn.Identity()
    images = torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    theirs = resnet.eval()(images)
    torch.testing.assert_close(theirs, method.encoder.backbone.eval()(images))


def test_moco_reads_its_own_names(checkpoint: tuple[Path, SiMo], tmp_path: Path) -> None:
    """Its linear classifier keeps `module.encoder_q.` keys, bar the head, and wants only fc."""
    out = tmp_path / "moco.pt"
    assert main(["export", str(checkpoint[0]), str(out), "--to", "moco"]) == 0
    given = torch.load(out, weights_only=True)
    assert given["arch"] == "resnet18"
    prefix = "module.encoder_q."
    kept = {
        key[len(prefix) :]: value
        for key, value in given["state_dict"].items()
        if key.startswith(prefix) and not key.startswith(prefix + "fc")
    }
    assert len(kept) == len(given["state_dict"])
    found = torchvision.models.resnet18().load_state_dict(kept, strict=False)
    assert set(found.missing_keys) == {"fc.weight", "fc.bias"}
    assert not found.unexpected_keys


def checkpoint_of(backbone: str, folder: Path) -> Path:
    """A checkpoint of an untrained backbone."""
    method = SiMo(build_encoder(backbone, 16, seed=0), num_negatives=3)
    recipe = Recipe(backbone=backbone, embedding_dim=16)
    path = folder / f"{backbone}.pt"
    save(path, {"method": method.state_dict(), "recipe": asdict(recipe)})
    return path


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
    backbone: str, layout: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path, out = checkpoint_of(backbone, tmp_path), tmp_path / "backbone.pt"
    assert main(["export", str(path), str(out), *layout]) == 0
    told, *lines = capsys.readouterr().out.splitlines()
    assert told.startswith(f"wrote {out}: {backbone}, ")
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
    checkpoint: tuple[Path, SiMo], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    missing, out = tmp_path / "none.pt", tmp_path / "out.pt"
    assert main(["export", str(missing), str(out)]) == 2
    assert "none.pt cannot be read" in capsys.readouterr().err
    path = checkpoint_of("tiny-gray", tmp_path)
    for layout in ("torchvision", "timm", "moco"):
        assert main(["export", str(path), str(out), "--to", layout]) == 2
        told = "'tiny-gray' is not one of torchvision or timm: train with --backbone resnet"
        assert told in capsys.readouterr().err
    path = checkpoint_of("resnet18-small-images", tmp_path)
    assert main(["export", str(path), str(out), "--to", "moco"]) == 2
    assert "has a stem of 3x3 for images of 32 pixels" in capsys.readouterr().err
    assert main(["export", str(checkpoint[0]), str(out), "--to", "keras"]) == 2
    assert "unknown layout 'keras'" in capsys.readouterr().err
    assert not out.exists()
    before = path.read_bytes()
    assert main(["export", str(checkpoint[0]), str(path)]) == 2
    assert "resnet18-small-images.pt is the checkpoint of a run: name" in capsys.readouterr().err
    assert path.read_bytes() == before
