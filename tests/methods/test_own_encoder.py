"""Encoders of one's own, given to the methods."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from eqco.methods import MoCo, SimCLR, SiMo


class Normalised(nn.Sequential):
    """A sequence that ends with length 1, as the README of the methods asks."""

    embedding_dim = 8

    def forward(self, images: Tensor) -> Tensor:
        return F.normalize(super().forward(images), dim=1)


def layers() -> tuple[nn.Module, ...]:
    return nn.Flatten(), nn.Linear(3 * 4 * 4, 8)


MAKE = {
    "SiMo": lambda encoder: SiMo(encoder, num_negatives=3),
    "MoCo": lambda encoder: MoCo(encoder, num_negatives=3, queue_size=16, bn_splits=1),
    "SimCLR": lambda encoder: SimCLR(encoder, num_negatives=3),
}


@pytest.mark.parametrize("name", MAKE)
def test_a_normalised_encoder_works(name: str, generator: torch.Generator) -> None:
    images = torch.randn(2, 6, 3, 4, 4, generator=generator)
    found = MAKE[name](Normalised(*layers()))(*images, generator)
    assert found.positive.abs().max() <= 1 + 1e-6


@pytest.mark.parametrize("name", MAKE)
def test_embeddings_of_other_lengths_are_named(name: str, generator: torch.Generator) -> None:
    encoder = nn.Sequential(*layers())
    encoder.embedding_dim = 8
    images = 10 * torch.randn(2, 6, 3, 4, 4, generator=generator)
    with pytest.raises(ValueError, match=rf"{name} must return embeddings of length 1, got len"):
        MAKE[name](encoder)(*images, generator)


@pytest.mark.parametrize("name", MAKE)
def test_feature_maps_are_named(name: str, generator: torch.Generator) -> None:
    encoder = nn.Sequential(nn.Conv2d(3, 8, 1))
    encoder.embedding_dim = 8
    images = torch.randn(2, 6, 3, 4, 4, generator=generator)
    with pytest.raises(ValueError, match=r"must return embeddings \(N, D\), got \((6|12), 8, 4"):
        MAKE[name](encoder)(*images, generator)


def test_moco_asks_for_the_dimension_of_an_own_encoder() -> None:
    with pytest.raises(ValueError, match=r"encoder.embedding_dim = D, got None"):
        MAKE["MoCo"](nn.Sequential(*layers()))
