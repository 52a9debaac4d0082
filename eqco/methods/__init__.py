"""The methods by name, and the one of a recipe."""

from __future__ import annotations

import torch

from eqco.config import Settings
from eqco.methods.base import Method
from eqco.methods.encoder import build_encoder
from eqco.methods.moco import MoCo
from eqco.methods.simclr import SimCLR
from eqco.methods.simo import SiMo
from eqco.methods.synco import SynCo

METHODS: dict[str, type[Method]] = {"simo": SiMo, "moco": MoCo, "simclr": SimCLR, "synco": SynCo}


def build(recipe: Settings, seed: int, device: str) -> Method:
    """The method of a recipe with fresh weights, on a device."""
    encoder = build_encoder(recipe.backbone, recipe.embedding_dim, seed, recipe.projector)
    method = METHODS[recipe.method].of(encoder, recipe, seed)
    return method.to(device).to(memory_format=torch.channels_last)
