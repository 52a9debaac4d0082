"""A trained backbone that probes read and must not change. N images, F features."""

from __future__ import annotations

import hashlib

import torch
from torch import Tensor, nn


def state_hash(module: nn.Module) -> str:
    """SHA-256 of all parameters and buffers, to check that they did not change."""
    digest = hashlib.sha256()
    for name, value in module.state_dict().items():
        digest.update(name.encode())
        digest.update(value.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()


def check_unchanged(backbone: nn.Module, before: str) -> None:
    """Raise RuntimeError where the backbone has another `state_hash` than before."""
    if state_hash(backbone) != before:
        raise RuntimeError("the probe changed the backbone: its metrics are discarded")


class Frozen:
    """A backbone in evaluation mode.

    Args:
        backbone: has `num_features`.
        precision: "float32", or "bfloat16" for autocast.
    """

    def __init__(self, backbone: nn.Module, precision: str = "float32") -> None:
        self.backbone = backbone
        self.low = precision == "bfloat16"

    @torch.no_grad()
    def features(self, images: Tensor) -> Tensor:
        """Float32 features (N, F) of normalised images (N, C, S, S)."""
        was_training = self.backbone.training
        self.backbone.eval()
        with torch.autocast(images.device.type, torch.bfloat16, enabled=self.low):
            features: Tensor = self.backbone(images)
        self.backbone.train(was_training)
        return features.float()
