"""The three metrics of features against slow definitions."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from eqco.probes.metrics import linear_probe, nearest_class_mean, weighted_knn


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


def test_linear_probe_agrees_with_scikit_learn_within_two_points() -> None:
    linear_model = pytest.importorskip("sklearn.linear_model")
    train, test = clusters()
    ours = linear_probe(train, test, 5, epochs=60, learning_rate=0.3, seed=0, batch_size=64)
    theirs = linear_model.LogisticRegression(C=1e6, max_iter=2000).fit(*(p.numpy() for p in train))
    assert ours == pytest.approx(100 * theirs.score(*(p.numpy() for p in test)), abs=2.0)
    assert 50 < ours < 100


def test_linear_probe_is_free_of_the_scale_of_its_features() -> None:
    train, test = clusters()
    small = tuple((features / 1000, labels) for features, labels in (train, test))
    options = {"epochs": 5, "learning_rate": 0.3, "seed": 0, "batch_size": 64}
    assert linear_probe(*small, 5, **options) == linear_probe(train, test, 5, **options)


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
