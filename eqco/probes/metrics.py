"""Metrics of features: linear classifier, weighted kNN, nearest class mean.

M images, F features. Everything is fitted on the training part and judged on the held-out part.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from eqco.randomness import generator_for
from eqco.settings import Settings

# Bounds on what is held at once, for a million features.
CHUNK = 65_536
MOST_SIMILARITIES = 2**28
MILESTONES = (2 / 3, 8 / 9)  # of the epochs, where the rate falls: 60 and 80 of 90


def linear_probe(
    train: tuple[Tensor, Tensor],
    test: tuple[Tensor, Tensor],
    num_classes: int,
    *,
    epochs: int,
    learning_rate: float,
    seed: int,
    batch_size: int = 256,
) -> float:
    """Top-1 accuracy in percent of a linear classifier on frozen features.

    The protocol of MoCo, scaled down: weights N(0, 0.01), SGD with momentum 0.9, no weight decay,
    rate times 0.1 after 2/3 and 8/9 of the epochs (60 and 80 of 90). Features are standardised by
    the training set, so that one rate serves every backbone.

    Args:
        train, test: features (M, F) and labels (M,).
        num_classes: how many classes the labels come from.
        epochs: passes over the training features.
        learning_rate: first rate.
        seed: of the weights and the order of the features.
        batch_size: features per step.
    """
    (features, labels), (test_features, test_labels) = train, test
    mean, std = features.mean(dim=0), features.std(dim=0).clamp(min=1e-6)
    features, test_features = (features - mean) / std, (test_features - mean) / std
    generator = generator_for(seed, "probe")
    classifier = nn.Linear(features.shape[1], num_classes).to(features.device)
    with torch.no_grad():
        drawn = torch.randn(classifier.weight.shape, generator=generator) * 0.01
        classifier.weight.copy_(drawn)
        classifier.bias.zero_()
    optimizer = torch.optim.SGD(classifier.parameters(), learning_rate, momentum=0.9)
    milestones = [round(epochs * share) for share in MILESTONES]
    schedule = torch.optim.lr_scheduler.MultiStepLR(optimizer, milestones)
    for _ in range(epochs):
        order = torch.randperm(len(features), generator=generator).to(features.device)
        for rows in torch.split(order, batch_size):
            loss = F.cross_entropy(classifier(features[rows]), labels[rows])
            optimizer.zero_grad(set_to_none=True)
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
        schedule.step()
    with torch.no_grad():
        return percent(classifier(test_features).argmax(dim=1), test_labels)


def percent(predicted: Tensor, labels: Tensor) -> float:
    """Share of right predictions, in percent."""
    return 100.0 * (predicted == labels).double().mean().item()


@torch.no_grad()
def weighted_knn(
    train: tuple[Tensor, Tensor],
    test: tuple[Tensor, Tensor],
    num_classes: int,
    *,
    neighbours: int,
    temperature: float = 0.1,
) -> float:
    """Top-1 accuracy in percent of kNN by cosine, votes weighted by exp(cosine / temperature).

    Args:
        train, test: features (M, F) and labels (M,).
        num_classes: how many classes the labels come from.
        neighbours: how many training images vote; all of them where there are fewer.
        temperature: of the votes, > 0.

    Source: Wu et al., arXiv 1805.01978.
    """
    bank = F.normalize(train[0], dim=1)
    predicted = []
    chunk = max(1, min(1024, MOST_SIMILARITIES // len(bank)))
    for part in torch.split(F.normalize(test[0], dim=1), chunk):
        cosine, rows = (part @ bank.T).topk(min(neighbours, len(bank)), dim=1)
        votes = torch.zeros(len(part), num_classes, device=part.device)
        votes.scatter_add_(1, train[1][rows], (cosine.float() / temperature).exp())
        predicted.append(votes.argmax(dim=1))
    return percent(torch.cat(predicted), test[1])


@torch.no_grad()
def nearest_class_mean(
    train: tuple[Tensor, Tensor], test: tuple[Tensor, Tensor], num_classes: int
) -> float:
    """Top-1 accuracy in percent of the class whose mean direction is nearest by cosine."""
    means = torch.zeros(num_classes, train[0].shape[1], device=train[0].device)
    for features, labels in zip(*(torch.split(part, CHUNK) for part in train), strict=True):
        means.index_add_(0, labels, F.normalize(features.float(), dim=1))
    predicted = F.normalize(test[0].float(), dim=1) @ F.normalize(means, dim=1).T
    return percent(predicted.argmax(dim=1), test[1])


Labelled = tuple[Tensor, Tensor]  # features (M, F) and labels (M,)


@dataclass(frozen=True)
class Metric:
    """A metric of features.

    Attributes:
        title: its name in tables.
        function: (train, test, num_classes, recipe, seed) -> percent.
    """

    title: str
    function: Callable[[Labelled, Labelled, int, Settings, int], float]


METRICS: dict[str, Metric] = {
    "linear": Metric(
        "linear probe",
        lambda train, test, classes, recipe, seed: linear_probe(
            train,
            test,
            classes,
            epochs=recipe.probe_epochs,
            learning_rate=recipe.probe_learning_rate,
            seed=seed,
        ),
    ),
    "knn": Metric(
        "kNN",
        lambda train, test, classes, recipe, _: weighted_knn(
            train, test, classes, neighbours=recipe.knn_neighbours
        ),
    ),
    "class_mean": Metric(
        "nearest class mean",
        lambda train, test, classes, _, __: nearest_class_mean(train, test, classes),
    ),
}
