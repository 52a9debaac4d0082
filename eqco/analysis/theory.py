"""Closed forms around EqCo. N queries, K negatives, temperature t, alpha effective negatives.

Why the corrected losses of `eqco.losses.bias_corrected` have a bias of O(1/K^2). Let
f = e^{(s - s_0)/t} of independent negatives, mu = E f, m the mean of f over K of them,
g(m) = log(1 + alpha m), L = g(m).

1. E L(K) = g(mu) + a/K + b/K^2 + O(1/K^3), with a = g''(mu) Var(f) / 2 = -rho^2 CV^2 / 2.
   Taylor about mu to the fifth order: E (m - mu)^2 = Var(f) / K, the third and fourth moments of
   m are O(1/K^2), the fifth and sixth O(1/K^3). Similarities are bounded, so f lies between two
   positive numbers, where all derivatives of g are bounded, and so is the remainder.
2. Jackknife. Without negative i, m is a mean of K - 1 of them. So E [K L(K) - (K-1) L(K-1)]
   = g(mu) + (a - a) + b/K - b/(K-1) + O(1/K^2) = g(mu) - b / (K (K-1)) + O(1/K^2) = g(mu) +
   O(1/K^2).
3. Second order. rho^2 CV^2 of the sample is a smooth function of the sample means of f and f^2, so
   by 1. its mean is that of the population + O(1/K). Over 2 K it is -a/K + O(1/K^2).
4. Gradient. The derivative of L is g'(m) m', with m' the mean of the derivatives of f: a smooth
   function of two sample means, whose mean has an expansion as in 1., and 2. and 3. follow alike.

K keys out of a batch or a queue are as good as independent where its keys are; the limit is that of
infinitely many keys, not of this batch.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import combinations

import torch
import torch.nn.functional as F
from torch import Tensor

from eqco.losses.functional import log_one_plus_exp, log_weight
from eqco.runtime.validation import check_negatives, check_temperature, positive_finite

UNIFORM_VALID = 2.65  # d^{3/4} t, see `uniform_squared_cv`


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
    check_temperature(temperature)
    if negatives.ndim != 2 or negatives.shape[1] < 2:
        raise ValueError(
            f"negatives must have shape (N, M) with M >= 2, got {tuple(negatives.shape)}"
        )
    logits = negatives.double() / temperature
    weights = torch.exp(logits - logits.amax(dim=1, keepdim=True))  # scale cancels
    return weights.var(dim=1) / weights.mean(dim=1) ** 2


def uniform_squared_cv(dimension: int, *, temperature: float) -> float | None:
    """CV^2 of keys uniform on the sphere, the least that spread-out embeddings have.

    CV^2 = e^{1 / (d t^2)} - 1

    The similarity s of a query and a uniform key has mean 0 and variance 1/d. Were it normal,
    log E e^{s/t} would be 1 / (2 d t^2), and log(1 + CV^2) = log E e^{2s/t} - 2 log E e^{s/t}. The
    next term is -7 / (2 d^2 (d + 2) t^4): s is bounded, so the formula is always too large. It
    fails where d^{3/4} t is small: for d >= 64 it is within 10 % from 2.65 on.

    It is a floor because keys of mean 0 have variances 1/d at least: over queries with the same
    covariance C as the keys the mean variance of s is tr C^2 >= (tr C)^2 / d. A collapsed encoder
    has less, since its mean is not 0.

    Args:
        dimension: d, of the embeddings.
        temperature: t, > 0.

    Returns:
        CV^2; None below d^{3/4} t = 2.65.

    >>> round(uniform_squared_cv(128, temperature=0.2), 3)
    0.216
    """
    if dimension**0.75 * check_temperature(temperature) < UNIFORM_VALID:
        return None
    return math.expm1(1 / (dimension * temperature**2))


def negative_weight(
    positive: Tensor, negatives: Tensor, *, temperature: float, effective_negatives: float
) -> Tensor:
    """Probability mass 1 - pi_0 that the loss puts on the negatives in the limit of many keys.

    rho = w / (f_0 + w), w = effective_negatives * E_k f. The mean gradient is proportional to rho.

    Args:
        positive: cosine similarities to the positive key, shape (N,).
        negatives: cosine similarities to many keys of other images, shape (N, M).
        temperature: softmax temperature, > 0.
        effective_negatives: alpha for EqCo, K for InfoNCE.

    Returns:
        Values in [0, 1], shape (N,), float64: 0 and 1 where the odds of the positive, e^{2/t} at
        most, leave the range of float64.
    """
    positive_finite("effective_negatives", effective_negatives)
    check_temperature(temperature)
    mean = torch.logsumexp(negatives.double() / temperature, dim=1) - math.log(negatives.shape[1])
    return torch.sigmoid(mean + math.log(effective_negatives) - positive.double() / temperature)


def mean_field_gap(squared_cv: float, *, num_negatives: int) -> float:
    """How far L(alpha, K) lies below its limit in K, nats, at most: CV^2 / (2 K), to leading order.

    Jensen's gap of log(1 + (alpha / f_0) m) under the noise of m, the mean of K weights.
    """
    return squared_cv / (2 * check_negatives(num_negatives))


def leading_gap(weight: Tensor, squared_cv: Tensor, *, num_negatives: int) -> float:
    """Leading-order loss gap, nats: E[rho^2 CV^2] / (2 K).

    The second derivative of log(1 + a m) at m = 1 is -(a / (1 + a))^2 = -rho^2, a = alpha / f_0.

    Args:
        weight: rho of each query, shape (N,), see `negative_weight`.
        squared_cv: CV^2 of each query, shape (N,), see `squared_cv`.
        num_negatives: K >= 1.
    """
    return (weight**2 * squared_cv).mean().item() / (2 * check_negatives(num_negatives))


def gradient_norm_bound(negative_weight: float, *, temperature: float) -> float:
    """Largest mean length of dL/dq in the limit of many keys: (2 / t) * rho.

    The gradient is (1 / t) sum_i pi_i (k_i - k_0), whose weights sum to rho = 1 - pi_0, and unit
    keys differ by 2 at most. Free of K for EqCo; for InfoNCE rho grows with K.

    Args:
        negative_weight: rho in [0, 1], see `negative_weight`.
        temperature: t, > 0.
    """
    return 2 * negative_weight / check_temperature(temperature)


def gradient_noise_bound(
    negative_weight: float, squared_cv: float, *, num_negatives: int, temperature: float
) -> float:
    """Largest mean distance of dL/dq from its limit in K.

    (4 rho / t) sqrt(kappa / K) + (4 / t) e^{-K / (8 kappa)},  kappa = 1 + CV^2

    EqCo does not reduce this noise; it makes the mean gradient independent of K.
    """
    kappa, count = 1 + squared_cv, check_negatives(num_negatives)
    t = check_temperature(temperature)
    far = math.exp(-count / (8 * kappa))
    return 4 * negative_weight / t * math.sqrt(kappa / count) + 4 / t * far


def multisets(num_symbols: int, count: int) -> Tensor:
    """How often each of S symbols is drawn in K draws, all cases: shape (cases, S), sums K.

    >>> multisets(2, 2).tolist()
    [[0, 2], [1, 1], [2, 0]]
    """
    ends = count + num_symbols - 1  # bars between the symbols stand at S - 1 of so many places
    bars = torch.tensor(list(combinations(range(ends), num_symbols - 1)), device="cpu")
    edges = F.pad(F.pad(bars, (1, 0), value=-1), (0, 1), value=ends)
    return edges.diff(dim=1) - 1


def expected_loss(
    loss: Callable[[Tensor, Tensor], Tensor],
    positive: Tensor,
    symbols: Tensor,
    probabilities: Tensor,
    *,
    num_negatives: int,
) -> Tensor:
    """Exact mean of a loss over K independent negatives of few possible similarities.

    Its distance from `limit_loss` is the bias of K negatives; the distance of the derivatives is
    the bias of the gradient.

    Args:
        loss: (positive (n,), negatives (n, K)) -> loss of each query, shape (n,).
        positive: s_0, shape ().
        symbols: the similarities that a negative can have, shape (S,).
        probabilities: of the symbols, shape (S,), sum 1 in float64.
        num_negatives: K >= 1; there are binomial(K + S - 1, S - 1) cases.

    Returns:
        Shape (), with gradient by `positive` and `symbols`.
    """
    counts = multisets(len(symbols), check_negatives(num_negatives))  # (cases, S)
    ways = math.lgamma(num_negatives + 1) - torch.lgamma(counts.double() + 1).sum(dim=1)
    chances = (ways + torch.xlogy(counts, probabilities.double()).sum(dim=1)).exp()
    negatives = symbols.repeat(len(counts)).repeat_interleave(counts.flatten())
    negatives = negatives.view(len(counts), num_negatives)
    return chances @ loss(positive.expand(len(counts)), negatives)


def limit_loss(
    positive: Tensor, symbols: Tensor, probabilities: Tensor, *, temperature: float, alpha: float
) -> Tensor:
    """EqCo with infinitely many negatives, shape (): log(1 + alpha E e^{(s - s_0)/t}).

    Args:
        positive: as in `expected_loss`.
        symbols: as in `expected_loss`.
        probabilities: as in `expected_loss`.
        temperature: t, > 0.
        alpha: effective number of negatives, > 0.
    """
    at = check_temperature(temperature)
    mean = torch.logsumexp(symbols / at + probabilities.log(), dim=0) - positive / at
    return log_one_plus_exp(mean + log_weight(1, alpha))
