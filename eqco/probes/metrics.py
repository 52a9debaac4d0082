"""Metrics of features: linear classifier, weighted kNN, nearest class mean.

M images, F features. Everything is fitted on the training part and judged on the held-out part.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from eqco.probes.linear import Labelled, linear_probe, percent
from eqco.settings import Settings

# Bounds on what is held at once, for a million features.
CHUNK = 65_536
MOST_SIMILARITIES = 2**28
MILESTONES = (2 / 3, 8 / 9)  # of the epochs, where the rate falls: 60 and 80 of 90


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


@dataclass(frozen=True)
class Metric:
    """A metric of features.

    Attributes:
        title: its name in tables.
        function: (train, test, num_classes, recipe) -> percent.
        perturbed: whether the features are of fixed, mildly perturbed views of the images, rather
            than of whole images; only for data held in memory.
    """

    title: str
    function: Callable[[Labelled, Labelled, int, Settings], float]
    perturbed: bool = False


METRICS: dict[str, Metric] = {
    "linear": Metric(
        "linear probe",
        lambda train, test, classes, recipe: linear_probe(
            train, test, classes, penalty=recipe.probe_penalty
        ),
    ),
    "knn": Metric(
        "kNN",
        lambda train, test, classes, recipe: weighted_knn(
            train, test, classes, neighbours=recipe.knn_neighbours
        ),
    ),
    "class_mean": Metric(
        "nearest class mean",
        lambda train, test, classes, _: nearest_class_mean(train, test, classes),
    ),
    "perturbed_knn": Metric(
        "kNN, perturbed",
        lambda train, test, classes, recipe: weighted_knn(
            train, test, classes, neighbours=recipe.knn_neighbours
        ),
        perturbed=True,
    ),
}
