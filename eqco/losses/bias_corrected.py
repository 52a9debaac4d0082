"""Losses without the leading bias of few negatives. N queries, K negatives, temperature t.

EqCo depends on the K negatives of a query through m, the mean of e^{(s_i - s_0)/t}: the loss is
log(1 + alpha m). The mean is right on average, its logarithm is not: the expected loss at K lies
rho^2 cv^2 / (2 K) + O(1/K^2) below that of many negatives, and its gradient lacks that term's.
Here rho is the softmax share of the negatives and cv the coefficient of variation of e^{s_i/t}. Two
ways take the first term out and leave O(1/K^2) (proof in `eqco.analysis.theory`):

    jackknife:      K L - (K - 1) * mean_i L without negative i
    second order:   L + rho^2 cv^2 / (2 K), both of the K negatives themselves

The noise of few negatives stays, and the jackknife adds some: a negative that outweighs all others
counts up to 2 - 1/K times, the others then with a negative sign. Both cost O(N K) and need K >= 2.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

from eqco.losses.functional import log_one_plus_exp, log_weight
from eqco.losses.interface import of_similarities
from eqco.losses.logits import ContrastiveLogits


def relative_logits(logits: ContrastiveLogits, temperature: float | Tensor) -> Tensor:
    """(s_i - s_0)/t of each negative, shape (N, K); ValueError where K < 2: nothing is left out."""
    count = logits.num_negatives
    least = int(count.min()) if isinstance(count, Tensor) else count
    if least < 2:
        raise ValueError(
            "a loss with its bias taken out needs at least 2 negatives for each query, got "
            f"{least}: take eqco, dcl or flat_nce for one"
        )
    return logits.relative(temperature)


def mean_of_negatives(values: Tensor, logits: Tensor, count: int | Tensor) -> Tensor:
    """Mean over the K negatives of each query, (N, M) -> (N,); those of logit -inf are none."""
    if isinstance(count, Tensor):
        return values.where(logits.isfinite(), 0.0).sum(dim=1) / count
    return values.mean(dim=1)


def jackknife(
    logits: Tensor, count: int | Tensor, loss: Callable[[Tensor], Tensor], share: Tensor
) -> Tensor:
    """K L - (K - 1) * mean_i L_i of each query, L_i the loss without negative i.

    For losses L = log(b + a m), linear in the mean m of the negatives' weights before the
    logarithm; rho = a m / (b + a m) is the share of the negatives. With p_i the softmax among the
    negatives, leaving one out changes m by the factor 1 + x_i, x_i = (1 - K p_i) / (K - 1), and the
    loss by log(1 + rho x_i). So no two near numbers are subtracted, except for a negative with
    p_i > 1/2, whose x_i may be near -1: there the sum over the others is computed.

    Args:
        logits: (s_i - s_0)/t, shape (N, K), K >= 2; their log-sum-exp is the log-odds v.
        count: K; where queries differ in it, shape (N,), and logits of -inf are no negatives.
        loss: L of the log-odds v of K negatives, elementwise.
        share: rho of each query, the derivative of L by v, shape (N,).

    Returns:
        Shape (N,).
    """
    per_row = count[:, None] if isinstance(count, Tensor) else count
    value, softmax = loss(logits.logsumexp(dim=1)), logits.softmax(dim=1)
    largest, place = softmax.max(dim=1, keepdim=True)
    alone = largest > 0.5
    bounded = softmax.scatter(1, place, torch.where(alone, 0.5, largest))
    rises = torch.log1p(share[:, None] * (1 - per_row * bounded) / (per_row - 1))  # L_i - L, (N, K)
    ratio = count / (count - 1)
    log_ratio = ratio.log() if isinstance(ratio, Tensor) else math.log(ratio)
    others = logits.scatter(1, place, -math.inf).logsumexp(dim=1) + log_ratio
    rise = (loss(others) - value)[:, None]
    rises = rises.scatter(1, place, torch.where(alone, rise, rises.gather(1, place)))
    return value - (count - 1) * mean_of_negatives(rises, logits, count)


def sample_squared_cv(logits: Tensor, count: int | Tensor) -> Tensor:
    """cv^2 of e^{s_i/t} over the K negatives of each query, shape (N,), from 0 to K.

    The variance is the unbiased one; the squared mean below it is not, which costs O(1/K) of cv^2
    and O(1/K^2) of the loss, as much as is left anyway.
    """
    per_row = count[:, None] if isinstance(count, Tensor) else count
    squares = (per_row * logits.softmax(dim=1) - 1).square()
    if isinstance(count, Tensor):
        squares = squares.where(logits.isfinite(), 0.0)
    return squares.sum(dim=1) / (count - 1)


@of_similarities
def eqco_jackknife(
    logits: ContrastiveLogits, *, temperature: float | Tensor, alpha: float
) -> Tensor:
    """EqCo with its bias of few negatives taken out by leaving out each in turn; K >= 2.

    L_J = K L(K) - (K - 1) * mean_i L(K - 1 without negative i), each L with its own alpha / number

    It can be below 0.

    Args:
        alpha: effective number of negatives, > 0.

    >>> similarities = torch.tensor([0.0]), torch.tensor([[0.0, 0.4]])
    >>> round(eqco_jackknife(*similarities, temperature=0.2, alpha=16).item(), 4)
    4.6352
    >>> equal = torch.zeros(1), torch.zeros(1, 3)  # then it is EqCo: log 17
    >>> round(eqco_jackknife(*equal, temperature=0.2, alpha=16).item(), 4)
    2.8332

    Source: Quenouille, Biometrika 43 (1956), for the correction; its use here is this project's.
    """
    relative = relative_logits(logits, temperature)
    shift = log_weight(logits.num_negatives, alpha)
    share = torch.sigmoid(relative.logsumexp(dim=1) + shift)
    return jackknife(
        relative, logits.num_negatives, lambda log_odds: log_one_plus_exp(log_odds + shift), share
    )


@of_similarities
def eqco_second_order(
    logits: ContrastiveLogits, *, temperature: float | Tensor, alpha: float
) -> Tensor:
    """EqCo with the leading term of its bias of few negatives added; K >= 2.

    L_2 = L + rho^2 cv^2 / (2 K), rho and cv of the K negatives themselves

    The term carries gradient: it is the bias of the gradient that training sees. It is at most 1/2,
    so that it takes out less than the jackknife where one negative outweighs all others.

    Args:
        alpha: effective number of negatives, > 0.

    >>> similarities = torch.tensor([0.0]), torch.tensor([[0.0, 0.4]])
    >>> round(eqco_second_order(*similarities, temperature=0.2, alpha=16).item(), 4)
    4.5027

    Source: the second-order expansion of the logarithm, see `eqco.analysis.theory.leading_gap`.
    """
    relative = relative_logits(logits, temperature)
    count = logits.num_negatives
    weighted = relative.logsumexp(dim=1) + log_weight(count, alpha)
    share = torch.sigmoid(weighted)
    leading = share.square() * sample_squared_cv(relative, count) / (2 * count)
    return log_one_plus_exp(weighted) + leading


@of_similarities
def dcl_jackknife(logits: ContrastiveLogits, *, temperature: float | Tensor) -> Tensor:
    """DCL with its bias of few negatives taken out by leaving out each in turn; K >= 2.

    L_J = log K + K V(K) - (K - 1) * mean_i V(K - 1 without negative i),  V = DCL - log its number

    >>> round(dcl_jackknife(torch.zeros(2), torch.zeros(2, 3), temperature=0.2).item(), 4)  # log 3
    1.0986

    Source: as `eqco_jackknife`, which minus log(alpha / K) tends to it as alpha grows.
    """
    relative = relative_logits(logits, temperature)
    share = relative.new_ones(len(relative))
    return jackknife(relative, logits.num_negatives, lambda log_odds: log_odds, share)


@of_similarities
def flat_nce_jackknife(logits: ContrastiveLogits, *, temperature: float | Tensor) -> Tensor:
    """FlatNCE with its bias of few negatives taken out, K >= 2: 1, gradient of `dcl_jackknife`.

    L = e^{u - stop(u)},  u = dcl_jackknife

    >>> flat_nce_jackknife(torch.zeros(2), torch.zeros(2, 3), temperature=0.2).item()
    1.0

    Source: as `dcl_jackknife`.
    """
    losses = dcl_jackknife.of_logits(logits, temperature=temperature)
    return (losses - losses.detach()).exp()
