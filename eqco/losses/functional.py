"""Contrastive losses of similarities. N queries, K negatives per query, temperature t.

s_0 is the cosine similarity of a query to its positive key, s_i to a negative, all in [-1, 1]. Most
losses depend on a query through its log-odds alone: v = log sum_i e^{s_i/t} - s_0/t. The one line
this project is about is in `eqco_info_nce`: log(alpha / K) added to v.

A loss is written as a function of `ContrastiveLogits` with a value for each query, which methods
and modules call by its attribute `of_logits`; `of_similarities` makes it a function of similarities
with a reduction, and documents the arguments that every loss has. Losses without the bias of few
negatives are in `eqco.losses.bias_corrected`.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from eqco.losses.interface import of_similarities
from eqco.losses.logits import ContrastiveLogits
from eqco.runtime.validation import (
    HARDNESS,
    SOG_GAMMA,
    check_negatives,
    check_temperature,
    positive_finite,
)

Average = Callable[[Tensor, float], Tensor]  # (log g of each query, gamma) -> log u, shape (N,)


def log_count(num_negatives: int | Tensor) -> float | Tensor:
    """log K; of each query, shape (N,), where they differ."""
    if isinstance(num_negatives, Tensor):
        return num_negatives.log()
    return math.log(num_negatives if num_negatives > 0 else check_negatives(num_negatives))


def log_weight(num_negatives: int | Tensor, alpha: float) -> float | Tensor:
    """log(alpha / K): what EqCo adds to the logits of the negatives.

    Raises:
        ValueError: K < 1, or alpha is not finite and above 0.
    """
    count = log_count(num_negatives)
    usual = isinstance(alpha, float) and 0 < alpha < math.inf
    return math.log(alpha if usual else positive_finite("alpha", alpha)) - count


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
    return check_temperature(temperature) * float(log_weight(num_negatives, alpha))


def log_one_plus_exp(log_odds: Tensor) -> Tensor:
    """log(1 + e^v), exact in float64 too, where torch's usual threshold of 20 costs 2e-9."""
    return F.softplus(log_odds, threshold=40)


@of_similarities
def info_nce(logits: ContrastiveLogits, *, temperature: float | Tensor) -> Tensor:
    """InfoNCE: cross-entropy of picking the positive among K + 1 keys.

    L = -log( e^{s_0/t} / (e^{s_0/t} + sum_i e^{s_i/t}) )

    >>> round(info_nce(torch.zeros(2), torch.zeros(2, 3), temperature=0.2).item(), 4)  # log 4
    1.3863

    Source: van den Oord et al., arXiv 1807.03748. It rises with K: log(1 + K) at equal
    similarities. `eqco_info_nce` with alpha = K is the same function.
    """
    return log_one_plus_exp(logits.log_odds(temperature))


@of_similarities
def eqco_info_nce(
    logits: ContrastiveLogits, *, temperature: float | Tensor, alpha: float | None
) -> Tensor:
    """EqCo: InfoNCE in which K negatives weigh as much as alpha negatives would.

    L = -log( e^{s_0/t} / (e^{s_0/t} + (alpha / K) * sum_i e^{s_i/t}) )

    Args:
        alpha: effective number of negatives, > 0; None stands for K, which is InfoNCE.

    >>> few, many = torch.zeros(2, 3), torch.zeros(2, 300)
    >>> round(eqco_info_nce(torch.zeros(2), few, temperature=0.2, alpha=16).item(), 4)  # log 17
    2.8332
    >>> round(eqco_info_nce(torch.zeros(2), many, temperature=0.2, alpha=16).item(), 4)
    2.8332

    Source: EqCo, arXiv 2010.01929. As alpha grows, L - log(alpha / K) tends to DCL.
    """
    weight = 0.0 if alpha is None else log_weight(logits.num_negatives, alpha)
    return log_one_plus_exp(logits.log_odds(temperature) + weight)


@of_similarities
def dcl(logits: ContrastiveLogits, *, temperature: float | Tensor) -> Tensor:
    """Decoupled contrastive learning: InfoNCE without the positive in the denominator.

    L = log( sum_i e^{s_i/t} ) - s_0/t

    >>> round(dcl(torch.zeros(2), torch.zeros(2, 3), temperature=0.2).item(), 4)  # log 3
    1.0986

    Source: Yeh et al., arXiv 2110.06848. EqCo minus log(alpha / K) tends to it as alpha grows.
    """
    return logits.log_odds(temperature)


@of_similarities
def flat_nce(logits: ContrastiveLogits, *, temperature: float | Tensor) -> Tensor:
    """FlatNCE: always 1, with the gradient of DCL, whose value shows the progress.

    L = e^{v - stop(v)},  v = log( sum_i e^{s_i/t} ) - s_0/t

    >>> flat_nce(torch.zeros(2), torch.zeros(2, 3), temperature=0.2).item()
    1.0

    Source: Chen et al., arXiv 2107.01152.
    """
    log_odds = logits.log_odds(temperature)
    return (log_odds - log_odds.detach()).exp()


@of_similarities
def dual_temperature(
    logits: ContrastiveLogits, *, temperature: float | Tensor, second_temperature: float
) -> Tensor:
    """InfoNCE with each query weighted as at a second temperature.

    L = stop( (1 - p_0(t')) / (1 - p_0(t)) ) * InfoNCE(t),  p_0 the softmax of the positive

    Args:
        second_temperature: t', > 0, between queries; the same t gives InfoNCE.

    >>> half, none = torch.full((2,), 0.5), torch.zeros(2, 3)
    >>> round(dual_temperature(half, none, temperature=0.2, second_temperature=1.0).item(), 4)
    0.719
    >>> round(info_nce(half, none, temperature=0.2).item(), 4)
    0.2201

    Source: Zhang et al., arXiv 2203.17248 (t = 0.1, t' = 1 there).
    """
    check_temperature(second_temperature, "second_temperature")
    log_odds = logits.log_odds(temperature)
    with torch.no_grad():
        weight = torch.sigmoid(logits.log_odds(second_temperature))
        # InfoNCE / (1 - p_0(t)); its limit 1 + e^v / 2 where both underflow
        limit = 1 + log_odds.exp() / 2
        ratio = log_one_plus_exp(log_odds) / torch.sigmoid(log_odds)
        ratio = torch.where(log_odds < -20, limit, ratio)
    # The gradient of InfoNCE is (1 - p_0(t)) times that of v; the quotient leaves v's.
    return weight * (ratio + log_odds - log_odds.detach())


@of_similarities
def hard_info_nce(
    logits: ContrastiveLogits, *, temperature: float | Tensor, hardness: float
) -> Tensor:
    """InfoNCE whose negatives weigh the more, the more similar they are.

    L = -log( e^{s_0/t} / (e^{s_0/t} + sum_i w_i e^{s_i/t}) )
    w_i = e^{b s_i/t} / mean_j e^{b s_j/t},  b = hardness

    Args:
        hardness: b, from 0 to 100; 0 gives InfoNCE.

    >>> negatives = torch.tensor([[0.2, 0.0], [0.2, 0.0]])
    >>> round(hard_info_nce(torch.zeros(2), negatives, temperature=0.2, hardness=1).item(), 4)
    1.707
    >>> round(hard_info_nce(torch.zeros(2), negatives, temperature=0.2, hardness=0).item(), 4)
    1.5514

    Source: Robinson et al., arXiv 2010.04592, and the authors' code (joshr17/HCL), where b
    multiplies s/t and the gradient passes through the weights. Their correction for false
    negatives is left out (tau_plus = 0 there), and with it the lower bound that it needs.
    """
    HARDNESS.check("hardness", hardness)
    scale = max(1.0, temperature) if isinstance(temperature, float) else 1.0
    if hardness < 1e-30 * scale:  # weights differ by no bit; t/b would overflow
        return info_nce.of_logits(logits, temperature=temperature)
    # log( sum_i e^{(1 + b) s_i/t} / mean_i e^{b s_i/t} ) - s_0/t
    harder = logits.log_odds(temperature / (1 + hardness)) - logits.log_odds(temperature / hardness)
    return log_one_plus_exp(harder + log_count(logits.num_negatives))


@of_similarities
def sog_clr(
    logits: ContrastiveLogits,
    *,
    temperature: float | Tensor,
    sog_gamma: float,
    average: Average | None = None,
) -> Tensor:
    """SogCLR: the sum over the negatives is divided by its moving average over many batches.

    L = log u  with the gradient of g / stop(u),  g = sum_i e^{(s_i - s_0)/t},
    u = (1 - gamma) u' + gamma g,  u' the average before this batch

    Args:
        sog_gamma: gamma, in (0, 1]; 1 gives DCL.
        average: (log g, gamma) -> log u, such as `MovingAverages.update` with its rows given; None
            stands for images never seen before, u = g, which is DCL too.

    >>> half = lambda log_g, gamma: log_g + math.log(2)  # u = 2 g
    >>> case = torch.zeros(2), torch.zeros(2, 3)
    >>> round(sog_clr(*case, temperature=0.2, sog_gamma=0.9, average=half).item(), 4)  # log 6
    1.7918

    Source: Yuan et al., arXiv 2202.12387. The positive stands inside g, as in the objective of the
    authors' LibAUC and its loss for two modalities; its loss for images averages sum_i e^{s_i/t}.
    """
    SOG_GAMMA.check("sog_gamma", sog_gamma)
    log_odds = logits.log_odds(temperature)
    log_g = log_odds.detach()
    log_u = log_g if average is None else average(log_g, sog_gamma)
    return log_u + (log_g - log_u).exp() * (log_odds - log_g)


def variance_penalty(negatives: Tensor, num_images: int) -> Tensor:
    """Mean squared distance of the negatives' similarities from their mean in an ideal embedding.

    mean (s_i + 1/n)^2: n points spread evenly on the sphere have similarity -1/(n - 1) to each
    other. A small batch leaves the similarities a larger variance than a large one, and that
    variance is what few negatives cost: CV^2 of e^{s/t} is e^{Var(s)/t^2} - 1 for normal s.

    Args:
        negatives: cosine similarities to keys of other images, shape (N, K).
        num_images: n, images in the data set, at least 1.

    Returns:
        The mean, shape (); times a lambda (30 in the source) it is added to a loss.

    >>> variance_penalty(torch.full((2, 3), -0.25), 4).item()
    0.0

    Source: arXiv 2506.09781 and its code.
    """
    return ((negatives + 1 / num_images) ** 2).mean()
