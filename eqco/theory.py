"""Closed forms around EqCo. K negatives, temperature tau, alpha effective negatives."""

from __future__ import annotations

import math

import torch
from torch import Tensor


def positive_finite(name: str, value: float) -> float:
    """Return `value`, or raise ValueError where it is not a finite number above zero."""
    if not (math.isfinite(value) and value > 0):
        raise ValueError(f"{name} must be finite and above 0, got {value}")
    return value


def margin(num_negatives: int, *, temperature: float, alpha: float) -> float:
    """Shift of the positive similarity that makes K negatives count as alpha.

    m = temperature * log(alpha / K)

    Args:
        num_negatives: negatives per query, K >= 1.
        temperature: softmax temperature, > 0.
        alpha: effective number of negatives, > 0.

    Raises:
        ValueError: an argument is out of its range.

    >>> round(margin(16, temperature=0.2, alpha=256), 3)
    0.555

    Source: EqCo (arXiv 2010.01929), the rule.
    """
    if num_negatives < 1:
        raise ValueError(f"num_negatives must be at least 1, got {num_negatives}")
    positive_finite("alpha", alpha)
    return positive_finite("temperature", temperature) * math.log(alpha / num_negatives)


def squared_cv(negatives: Tensor, *, temperature: float) -> Tensor:
    """Squared coefficient of variation of exp(similarity / temperature), one value a query.

    CV^2 = Var_k(f) / (E_k f)^2, f = exp(q.k / temperature). The loss of EqCo at K negatives lies
    at most about CV^2 / (2 K) below its limit: EqCo is flat where K is far above CV^2.

    Args:
        negatives: cosine similarities to many keys of other images, shape (N, M), M >= 2.
        temperature: softmax temperature, > 0.

    Returns:
        Estimates, shape (N,), float64, with the unbiased variance over M keys.
    """
    positive_finite("temperature", temperature)
    if negatives.ndim != 2 or negatives.shape[1] < 2:
        raise ValueError(
            f"negatives must have shape (N, M) with M >= 2, got {tuple(negatives.shape)}"
        )
    logits = negatives.double() / temperature
    weights = torch.exp(logits - logits.amax(dim=1, keepdim=True))  # the ratio is free of scale
    return weights.var(dim=1) / weights.mean(dim=1) ** 2


def negative_weight(
    positive: Tensor, negatives: Tensor, *, temperature: float, effective_negatives: float
) -> Tensor:
    """Probability mass 1 - pi_0 that the loss puts on the negatives in the limit of many keys.

    rho = w / (f_0 + w), w = effective_negatives * E_k f. The mean gradient is proportional to it.

    Args:
        positive: cosine similarities to the positive key, shape (N,).
        negatives: cosine similarities to many keys of other images, shape (N, M).
        temperature: softmax temperature, > 0.
        effective_negatives: alpha for EqCo, K for InfoNCE.

    Returns:
        Values in (0, 1), shape (N,), float64.
    """
    positive_finite("effective_negatives", effective_negatives)
    positive_finite("temperature", temperature)
    mean = torch.logsumexp(negatives.double() / temperature, dim=1) - math.log(negatives.shape[1])
    return torch.sigmoid(mean + math.log(effective_negatives) - positive.double() / temperature)
