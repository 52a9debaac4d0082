"""Backbones of other programs are recognised by names and shapes, under any prefix."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
import torchvision
from torch import Tensor

from eqco.artifacts.pretrained import load_backbone
from eqco.methods.encoder import BACKBONES


def weights(name: str) -> dict[str, Tensor]:
    """A torchvision model's state, classifier included."""
    torch.manual_seed(0)
    return dict(torchvision.models.get_model(name, weights=None).state_dict())


def written(folder: Path, state: object) -> Path:
    """A file of weights."""
    torch.save(state, folder / "weights.pth")
    return folder / "weights.pth"


@pytest.mark.parametrize("name", ["resnet18", "resnet34"])
def test_a_resnet_is_recognised_and_loaded(name: str, tmp_path: Path) -> None:
    state = weights(name)
    loaded = load_backbone(written(tmp_path, state))
    assert (loaded.name, loaded.channels, loaded.image_size) == (name, 3, 224)
    for key, value in loaded.backbone.state_dict().items():
        assert torch.equal(value, state[key])


def test_a_prefix_is_taken_off_and_queries_come_before_keys(tmp_path: Path) -> None:
    query = weights("resnet18")
    key = {name: value + 1 for name, value in query.items()}
    state = {f"module.encoder_k.{name}": value for name, value in key.items()}
    state |= {f"module.encoder_q.{name}": value for name, value in query.items()}
    state["module.encoder_q.fc.2.weight"] = torch.ones(3)
    loaded = load_backbone(written(tmp_path, {"epoch": 3, "state_dict": state}))
    assert loaded.name == "resnet18"
    assert torch.equal(loaded.backbone.state_dict()["conv1.weight"], query["conv1.weight"])


def test_a_small_backbone_of_ours_is_recognised(tmp_path: Path) -> None:
    state = BACKBONES["small-rgb"]().state_dict()
    loaded = load_backbone(written(tmp_path, state))
    assert (loaded.name, loaded.image_size) == ("small-rgb", 32)


def test_other_weights_are_named(tmp_path: Path) -> None:
    path = written(tmp_path, {"a": torch.ones(2)})
    with pytest.raises(ValueError, match=r"holds no weights of a known backbone \(it has a\)"):
        load_backbone(path)
    with pytest.raises(ValueError, match="unknown backbone 'resnet5': did you mean resnet5"):
        load_backbone(path, "resnet5")
    path = written(tmp_path, weights("resnet34"))
    with pytest.raises(ValueError, match="holds no weights of resnet18"):
        load_backbone(path, "resnet18")
