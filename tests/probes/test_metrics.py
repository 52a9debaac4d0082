"""Metrics by neighbours and class means against slow definitions; the recipe sets them."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F

from eqco.probes.linear import linear_probe
from eqco.probes.metrics import METRICS, nearest_class_mean, weighted_knn
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
    right = 0
    for feature, label in zip(*test, strict=True):
        cosine = F.cosine_similarity(train[0], feature[None])
        rows = cosine.argsort(descending=True)[:neighbours]
        votes = torch.zeros(5)
        for row in rows:
            votes[train[1][row]] += torch.exp(cosine[row] / 0.1)
        right += int(votes.argmax() == label)
    assert weighted_knn(train, test, 5, neighbours=neighbours) == pytest.approx(right / 2, abs=0.51)


def test_nearest_class_mean_agrees_with_a_slow_loop() -> None:
    train, test = clusters()
    unit = F.normalize(train[0], dim=1)
    means = torch.stack([unit[train[1] == label].mean(dim=0) for label in range(5)])
    right = sum(
        int(F.cosine_similarity(means, feature[None]).argmax() == label)
        for feature, label in zip(*test, strict=True)
    )
    assert nearest_class_mean(train, test, 5) == pytest.approx(right / 2)


def test_metrics_are_those_functions_with_the_settings_of_the_recipe() -> None:
    train, test = clusters()
    recipe = Recipe(knn_neighbours=7, probe_penalty=0.5)
    found = {name: metric.function(train, test, 5, recipe) for name, metric in METRICS.items()}
    knn = weighted_knn(train, test, 5, neighbours=7)
    assert found == {
        "linear": linear_probe(train, test, 5, penalty=0.5),
        "knn": knn,
        "class_mean": nearest_class_mean(train, test, 5),
        "perturbed_knn": knn,
    }
    other = replace(recipe, knn_neighbours=1, probe_penalty=3e-4)
    again = {name: metric.function(train, test, 5, other) for name, metric in METRICS.items()}
    assert {name for name in found if found[name] != again[name]} == set(found) - {"class_mean"}


def test_perturbed_pictures_are_asked_for_by_one_metric_alone() -> None:
    assert [name for name, metric in METRICS.items() if metric.perturbed] == ["perturbed_knn"]
