"""The probe of features: it leaves the backbone alone; metrics against slow definitions."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from eqco.config import Machine
from eqco.data.in_memory import Dataset, InMemory
from eqco.evaluation.features import FeatureProbe, Frozen, state_hash
from eqco.evaluation.logistic_regression import linear_probe
from eqco.evaluation.metrics import (
    METRICS,
    nearest_class_mean,
    packed,
    percent,
    unpacked,
    weighted_knn,
)
from eqco.recipe import Recipe

RECIPE = Recipe(batch_size=4, num_negatives=3)


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


def probe(backbone: nn.Module, data: Dataset | None = None, seed: int = 0) -> FeatureProbe:
    """A probe of twenty random images, or of other data."""
    images = InMemory(data or tiny_set(), RECIPE, seed, Machine())
    return FeatureProbe(backbone, images, RECIPE, seed, Machine())


def test_metrics_of_a_backbone_that_changes_raise_an_error() -> None:
    with pytest.raises(RuntimeError, match="the probe changed the backbone"):
        probe(Restless()).metrics()


def test_a_backbone_with_batch_norm_is_left_as_it_was() -> None:
    backbone = nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.Flatten())
    before, training = state_hash(backbone), backbone.training
    metrics = probe(backbone).metrics()
    assert state_hash(backbone) == before
    assert backbone.training == training
    assert set(metrics) == set(METRICS) == {"linear", "knn", "class_mean", "perturbed_knn"}
    assert all(0 <= value <= 100 for value in metrics.values())


def test_metrics_are_the_same_for_every_seed_of_the_run() -> None:
    backbone, data = nn.Flatten(), tiny_set()
    assert probe(backbone, data, 0).metrics() == probe(backbone, data, 7).metrics()


def test_features_of_perturbed_views_come_view_after_view_with_their_labels() -> None:
    found = probe(nn.Flatten())
    features, labels = found.features("held_out", 4)
    assert features.shape == (4 * 20, 16)
    assert torch.equal(labels, found.images.data.test_labels.repeat(4))
    again = torch.cat([images for images, _ in found.images.perturbed("held_out", 4)])
    assert torch.equal(features, again.flatten(1))
    assert len(found.features("held_out")[0]) == 20


def test_perturbed_metrics_alone_are_of_perturbed_views() -> None:
    """One view of each training image, four of each held-out one."""
    found = probe(nn.Flatten())
    whole = (found.features("train"), found.features("held_out"))
    mild = (found.features("train", 1), found.features("held_out", 4))
    metrics = found.metrics()
    for name, metric in METRICS.items():
        features = mild if metric.perturbed else whole
        correct = metric.correct(*features, 2, RECIPE)
        assert metrics[name] == percent(correct)
        if metric.kept:
            assert torch.equal(unpacked(found.correct[name], len(correct)), correct)
    assert set(found.correct) == {"linear", "knn"}


def test_features_are_those_of_the_backbone_in_evaluation_mode() -> None:
    backbone = nn.Sequential(nn.BatchNorm2d(1), nn.Flatten())
    images = torch.rand(6, 1, 4, 4, generator=torch.Generator().manual_seed(0))
    features = Frozen(backbone).features(images)
    torch.testing.assert_close(features, backbone.eval()(images).float())
    low = Frozen(nn.Sequential(nn.Flatten(), nn.Linear(16, 3)), "bfloat16").features(images)
    assert low.dtype == torch.float32


# Metrics by neighbours and class means against slow definitions; the recipe sets them.


def clusters(spread: float = 1.0) -> tuple[tuple[torch.Tensor, torch.Tensor], ...]:
    """Training and held-out features of five overlapping clusters in eight dimensions."""
    generator = torch.Generator().manual_seed(0)
    centres = torch.randn(5, 8, generator=generator) * 1.5
    parts = []
    for count in (400, 200):
        labels = torch.arange(count) % 5
        noise = torch.randn(count, 8, generator=generator) * spread
        parts.append((centres[labels] + noise, labels))
    return tuple(parts)


@pytest.mark.parametrize("neighbours", [1, 7, 10_000])
def test_knn_agrees_with_a_slow_loop(neighbours: int) -> None:
    train, test = clusters()
    labels = []
    for feature in test[0][:50]:
        cosine = F.cosine_similarity(train[0], feature[None])
        rows = cosine.argsort(descending=True)[:neighbours]
        votes = torch.zeros(5)
        for row in rows:
            votes[train[1][row]] += torch.exp(cosine[row] / 0.1)
        labels.append(votes.argmax())
    found = weighted_knn(train, test[0][:50], 5, neighbours=neighbours)
    assert (found != torch.stack(labels)).sum() <= 1


def test_nearest_class_mean_agrees_with_a_slow_loop() -> None:
    train, test = clusters()
    unit = F.normalize(train[0], dim=1)
    means = torch.stack([unit[train[1] == label].mean(dim=0) for label in range(5)])
    labels = [F.cosine_similarity(means, feature[None]).argmax() for feature in test[0]]
    assert torch.equal(nearest_class_mean(train, test[0], 5), torch.stack(labels))


def test_metrics_are_those_functions_with_the_settings_of_the_recipe() -> None:
    train, test = clusters()
    recipe = Recipe(knn_neighbours=7, probe_penalty=0.5)
    found = {name: metric.correct(train, test, 5, recipe) for name, metric in METRICS.items()}
    knn = weighted_knn(train, test[0], 5, neighbours=7)
    expected = {
        "linear": linear_probe(train, test[0], 5, penalty=0.5),
        "knn": knn,
        "class_mean": nearest_class_mean(train, test[0], 5),
        "perturbed_knn": knn,
    }
    assert all(torch.equal(found[name], expected[name] == test[1]) for name in METRICS)
    other = replace(recipe, knn_neighbours=1, probe_penalty=3e-4)
    again = {name: metric.correct(train, test, 5, other) for name, metric in METRICS.items()}
    changed = {name for name in found if not torch.equal(found[name], again[name])}
    assert changed == set(found) - {"class_mean"}


@pytest.mark.parametrize("count", [1, 7, 8, 9, 4669])
def test_packed_bits_come_back(count: int) -> None:
    correct = torch.rand(count, generator=torch.Generator().manual_seed(count)) < 0.5
    assert torch.equal(unpacked(packed(correct), count), correct)
    with pytest.raises(ValueError, match=f"expected the bits of {count + 8} images"):
        unpacked(packed(correct), count + 8)
