"""The probe of features: its metrics, and the check that it left the backbone alone."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from eqco.images.memory import Dataset, InMemory
from eqco.probes.features import FeatureProbe
from eqco.probes.frozen import Frozen, state_hash
from eqco.probes.metrics import METRICS
from eqco.recipe import Recipe
from eqco.settings import Machine

RECIPE = Recipe(probe_epochs=1, batch_size=4, num_negatives=3)


class Restless(nn.Module):
    """A backbone that changes whenever it is asked."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("calls", torch.zeros(()))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        self.calls += 1
        return images.flatten(1)


def tiny_set() -> Dataset:
    """Twenty random images of two classes."""
    images = torch.randint(0, 256, (20, 1, 4, 4), dtype=torch.uint8)
    labels = torch.arange(20) % 2
    return Dataset(images, labels, images, labels, 2, "0" * 16)


def probe(backbone: nn.Module) -> FeatureProbe:
    """A probe of twenty random images."""
    images = InMemory(tiny_set(), RECIPE, 0, Machine())
    return FeatureProbe(backbone, images, RECIPE, 0, Machine())


def test_metrics_of_a_backbone_that_changes_raise_an_error() -> None:
    with pytest.raises(RuntimeError, match="the probe changed the backbone"):
        probe(Restless()).metrics()


def test_a_backbone_with_batch_norm_is_left_as_it_was() -> None:
    backbone = nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.Flatten())
    before, training = state_hash(backbone), backbone.training
    metrics = probe(backbone).metrics()
    assert state_hash(backbone) == before
    assert backbone.training == training
    assert set(metrics) == set(METRICS) == {"linear", "knn", "class_mean"}
    assert all(0 <= value <= 100 for value in metrics.values())


def test_features_are_those_of_the_backbone_in_evaluation_mode() -> None:
    backbone = nn.Sequential(nn.BatchNorm2d(1), nn.Flatten())
    images = torch.rand(6, 1, 4, 4, generator=torch.Generator().manual_seed(0))
    features = Frozen(backbone).features(images)
    torch.testing.assert_close(features, backbone.eval()(images).float())
    low = Frozen(nn.Sequential(nn.Flatten(), nn.Linear(16, 3)), "bfloat16").features(images)
    assert low.dtype == torch.float32


def test_the_hash_of_a_state_covers_names_parameters_and_buffers() -> None:
    one, same = nn.BatchNorm1d(3), nn.BatchNorm1d(3)
    assert state_hash(one) == state_hash(same)
    same.running_mean += 1
    assert state_hash(one) != state_hash(same)
    assert state_hash(nn.Sequential(one)) != state_hash(one)
