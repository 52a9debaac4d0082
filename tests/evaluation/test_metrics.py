"""Metrics by neighbours and class means against slow definitions; the recipe sets them."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F

from eqco.evaluation.logistic_regression import linear_probe
from eqco.evaluation.metrics import METRICS, nearest_class_mean, packed, unpacked, weighted_knn
from eqco.recipe import Recipe


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
