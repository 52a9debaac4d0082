"""Metrics of features: linear classifier, weighted kNN, nearest class mean.

M images, F features. Everything is fitted on the training part and judged on the held-out part.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from eqco.config import Settings
from eqco.evaluation.logistic_regression import Labelled, linear_probe
from eqco.losses.tensors import of_usual_length, unit

# Bounds on what is held at once, for a million features.
CHUNK = 65_536
MOST_SIMILARITIES = 2**28
VOTE_TEMPERATURE = 0.1
MILESTONES = (2 / 3, 8 / 9)  # of the epochs, where the rate falls: 60 and 80 of 90


@torch.no_grad()
def weighted_knn(train: Labelled, test: Tensor, num_classes: int, *, neighbours: int) -> Tensor:
    """Labels by kNN of cosines, votes weighted by exp(cosine / VOTE_TEMPERATURE), shape (M,).

    Args:
        train: features (M, F) and labels (M,).
        test: features of the images to be classified, shape (M, F).
        num_classes: how many classes the labels come from.
        neighbours: how many training images vote; all of them where there are fewer.

    Source: Wu et al., arXiv 1805.01978.
    """
    bank = F.normalize(of_usual_length(train[0]), dim=1)
    predicted = []
    chunk = max(1, min(1024, MOST_SIMILARITIES // len(bank)))
    for part in torch.split(F.normalize(of_usual_length(test), dim=1), chunk):
        cosine, rows = (part @ bank.T).topk(min(neighbours, len(bank)), dim=1)
        votes = torch.zeros(len(part), num_classes, device=part.device)
        votes.scatter_add_(1, train[1][rows], (cosine.float() / VOTE_TEMPERATURE).exp())
        predicted.append(votes.argmax(dim=1))
    return torch.cat(predicted)


@torch.no_grad()
def nearest_class_mean(train: Labelled, test: Tensor, num_classes: int) -> Tensor:
    """Labels of the classes whose mean directions are nearest by cosine, shape (M,)."""
    means = torch.zeros(num_classes, train[0].shape[1], device=train[0].device)
    for features, labels in zip(*(torch.split(part, CHUNK) for part in train), strict=True):
        means.index_add_(0, labels, unit(features.float()))
    similarity = unit(test.float()) @ F.normalize(means, dim=1).T
    return similarity.argmax(dim=1)


@dataclass(frozen=True)
class Metric:
    """A metric of features.

    Attributes:
        title: its name in tables.
        classify: (train, test features, num_classes, recipe) -> predicted labels.
        perturbed: whether the features are of fixed, mildly perturbed views of the images, rather
            than of whole images; only for data held in memory.
        kept: whether a record keeps which held-out images are right.
    """

    title: str
    classify: Callable[[Labelled, Tensor, int, Settings], Tensor]
    perturbed: bool = False
    kept: bool = False

    def correct(
        self, train: Labelled, test: Labelled, num_classes: int, recipe: Settings
    ) -> Tensor:
        """Which held-out images are classified rightly, bool, shape (M,)."""
        return self.classify(train, test[0], num_classes, recipe) == test[1]


def percent(correct: Tensor) -> float:
    """Share of true values, in percent."""
    return 100.0 * correct.cpu().double().mean().item()


def packed(correct: Tensor) -> str:
    """One bit for each value, the first one highest in its byte, as base64."""
    return base64.b64encode(np.packbits(correct.cpu().numpy()).tobytes()).decode()


def unpacked(text: str, count: int) -> Tensor:
    """The first `count` values of `packed`, bool, shape (count,).

    Raises:
        ValueError: the text is no base64, or of another length.
    """
    bits = np.unpackbits(np.frombuffer(base64.b64decode(text, validate=True), dtype=np.uint8))
    if not count <= len(bits) < count + 8:
        raise ValueError(f"expected the bits of {count} images, got {len(bits)}")
    return torch.from_numpy(bits[:count].astype(bool))


def knn(train: Labelled, test: Tensor, num_classes: int, recipe: Settings) -> Tensor:
    """`weighted_knn` of a recipe."""
    return weighted_knn(train, test, num_classes, neighbours=recipe.knn_neighbours)


def linear(train: Labelled, test: Tensor, num_classes: int, recipe: Settings) -> Tensor:
    """`linear_probe` of a recipe."""
    return linear_probe(train, test, num_classes, penalty=recipe.probe_penalty)


METRICS: dict[str, Metric] = {
    "linear": Metric("linear probe", linear, kept=True),
    "knn": Metric("kNN", knn, kept=True),
    "class_mean": Metric("nearest class mean", lambda *given: nearest_class_mean(*given[:3])),
    "perturbed_knn": Metric("kNN, perturbed", knn, perturbed=True),
}
WHOLE, PERTURBED = (
    [name for name, metric in METRICS.items() if metric.perturbed == perturbed]
    for perturbed in (False, True)
)


def judge(
    names: Iterable[str], train: Labelled, test: Labelled, num_classes: int, recipe: Settings
) -> tuple[dict[str, float], dict[str, str]]:
    """Metrics of features (M, F) and labels (M,), fitted to `train` and judged on `test`.

    Returns:
        Accuracies in percent, and the images that are right, `packed`, of the metrics that keep it.
    """
    correct = {name: METRICS[name].correct(train, test, num_classes, recipe) for name in names}
    kept = {name: packed(hits) for name, hits in correct.items() if METRICS[name].kept}
    return {name: percent(hits) for name, hits in correct.items()}, kept
