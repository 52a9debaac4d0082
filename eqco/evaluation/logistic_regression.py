"""The linear probe: multinomial logistic regression on frozen features, fitted to convergence.

M images, F features, C classes. The fit minimises

    mean cross-entropy of the training images + penalty / 2 * ||W||^2

over weights W (C, F) and biases (C,) of whitened features. The objective is convex and the fit
starts from zero, so the probe draws no random numbers: the same features give the same accuracy.
"""

from __future__ import annotations

import torch
from torch import Tensor

Labelled = tuple[Tensor, Tensor]  # features (M, F) and labels (M,)

# Logits in a block. On a CPU a block of 1 MiB stays in the second-level cache.
BLOCK = {"cpu": 2**18}
BLOCK_ELSEWHERE = 2**27
# The fit ends where an iteration lowers the objective by less than this, in nats.
TOLERANCE = 3e-4
MOST_ITERATIONS = 200
LEAST_VARIANCE = 1e-6  # of the largest; directions below it are noise of the features


def whiten(train: Tensor, test: Tensor) -> tuple[Tensor, Tensor]:
    """Both parts (M, F), shifted and turned so that the training features have covariance 1.

    The fit then needs a third of the iterations, and one penalty serves every backbone.
    """
    mean = train.mean(dim=0)
    centred = train - mean
    covariance = (centred.T @ centred).cpu().double() / len(train)  # MPS has no float64
    variance, directions = torch.linalg.eigh(covariance)
    scale = variance.clamp(min=(LEAST_VARIANCE * variance[-1]).clamp(min=1e-12)).rsqrt()
    matrix = (directions * scale).to(train)
    return centred @ matrix, (test - mean) @ matrix


@torch.no_grad()
def objective(
    weights: Tensor, features: Tensor, labels: Tensor, penalty: float
) -> tuple[Tensor, Tensor]:
    """The objective, shape (), and its gradient (C, F + 1); the last column holds the biases.

    Computed in blocks of images, so that no (M, C) matrix is held.

    Args:
        weights: shape (C, F + 1).
        features: whitened, with a last column of ones, shape (M, F + 1).
        labels: shape (M,).
        penalty: on the weights, not on the biases.
    """
    gradient = torch.zeros_like(weights)
    total = weights.new_zeros(())
    rows = max(1, BLOCK.get(weights.device.type, BLOCK_ELSEWHERE) // len(weights))
    transposed = weights.T.contiguous()
    blocks = zip(torch.split(features, rows), torch.split(labels, rows), strict=True)
    for block, block_labels in blocks:
        logits = block @ transposed
        logits -= logits.amax(dim=1, keepdim=True)
        correct = logits.gather(1, block_labels[:, None])
        share = logits.exp_()
        sums = share.sum(dim=1, keepdim=True)
        total += (sums.log() - correct).sum()
        share /= sums
        share.scatter_add_(1, block_labels[:, None], torch.full_like(correct, -1.0))
        gradient.addmm_(share.T, block)
    gradient /= len(features)
    gradient[:, :-1] += penalty * weights[:, :-1]
    return total / len(features) + penalty / 2 * (weights[:, :-1] ** 2).sum(), gradient


def fit(features: Tensor, labels: Tensor, num_classes: int, penalty: float) -> Tensor:
    """Weights (C, F + 1) that minimise `objective`, by L-BFGS with a strong-Wolfe line search."""
    weights = features.new_zeros(num_classes, features.shape[1])
    optimizer = torch.optim.LBFGS(
        [weights],
        max_iter=MOST_ITERATIONS,
        max_eval=2 * MOST_ITERATIONS,
        tolerance_grad=0.0,
        tolerance_change=TOLERANCE,
        history_size=20,
        line_search_fn="strong_wolfe",
    )

    def evaluate() -> Tensor:
        value, weights.grad = objective(weights, features, labels, penalty)
        return value

    optimizer.step(evaluate)  # type: ignore[no-untyped-call]
    return weights


@torch.no_grad()
def linear_probe(train: Labelled, test: Tensor, num_classes: int, *, penalty: float) -> Tensor:
    """Labels that a linear classifier on frozen features predicts, shape (M,).

    Args:
        train: features (M, F) and labels (M,), on which it is fitted.
        test: features of the images to be classified, shape (M, F).
        num_classes: how many classes the labels come from.
        penalty: of the squared weights of whitened features, > 0.
    """
    parts = [part.float() for part in whiten(train[0], test)]
    fitted, judged = (torch.cat([part, torch.ones_like(part[:, :1])], dim=1) for part in parts)
    weights = fit(fitted, train[1], num_classes, penalty)
    return (judged @ weights.T).argmax(dim=1)
