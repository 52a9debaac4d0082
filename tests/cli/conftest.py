"""What the tests of commands share."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
import torchvision


@pytest.fixture(scope="session")
def resnet18(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file of the weights of an untrained ResNet-18 of torchvision."""
    path = tmp_path_factory.mktemp("weights") / "resnet.pth"
    torch.manual_seed(0)
    torch.save(torchvision.models.resnet18().state_dict(), path)
    return path
