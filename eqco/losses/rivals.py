"""Rivals: losses that came after EqCo and get along with few negatives in other ways.

N queries, K negatives per query; similarities are cosines in [-1, 1].
"""

from __future__ import annotations

import math
from functools import partial

from torch import Tensor

from eqco.losses.logits import Gaps, log_one_plus_exp, of_similarities
from eqco.losses.sogclr import Average, averaged_losses
from eqco.runtime.validation import Number

HARDNESS = Number(0, 100)
SOG_GAMMA = Number(0, 1, open_low=True)


def hard_info_nce_losses(found: Gaps, *, temperature: float, hardness: float) -> Tensor:
    """InfoNCE with reweighted negatives of each query, shape (N,)."""
    HARDNESS.check("hardness", hardness)
    if hardness < 1e-30 * max(1.0, temperature):  # weights differ by no bit; t/b would overflow
        return log_one_plus_exp(found.gap(temperature))
    # log( sum_i e^{(1 + beta) s_i/t} / mean_i e^{beta s_i/t} ) - s_0/t
    harder = found.gap(temperature / (1 + hardness)) - found.gap(temperature / hardness)
    return log_one_plus_exp(harder + math.log(found.num_negatives))


def sog_clr_losses(
    found: Gaps, *, temperature: float, sog_gamma: float, average: Average | None = None
) -> Tensor:
    """SogCLR of each query, shape (N,); `average` keeps u for each image (`eqco.losses.sogclr`)."""
    SOG_GAMMA.check("sog_gamma", sog_gamma)
    return averaged_losses(found.gap(temperature), sog_gamma, average)


def hard_info_nce(
    positive: Tensor,
    negatives: Tensor,
    *,
    temperature: float,
    hardness: float,
    reduction: str = "mean",
) -> Tensor:
    """InfoNCE whose negatives weigh the more, the more similar they are.

    L = -log( e^{s_0/t} / (e^{s_0/t} + sum_i w_i e^{s_i/t}) )
    w_i = e^{b s_i/t} / mean_j e^{b s_j/t},  b = hardness

    Args:
        positive: cosine similarities to the key of the same image, shape (N,).
        negatives: cosine similarities to keys of other images, shape (N, K).
        temperature: t, > 0.
        hardness: b, from 0 to 100; 0 gives InfoNCE.
        reduction: "mean", "sum" or "none".

    Returns:
        The mean over the N queries, shape (), or (N,) without reduction; float32 (float64 for
        float64 input).

    Raises:
        ValueError: shapes do not match, a similarity is not finite, temperature <= 0, or hardness
            is out of its range.

    >>> import torch
    >>> negatives = torch.tensor([[0.2, 0.0], [0.2, 0.0]])
    >>> round(hard_info_nce(torch.zeros(2), negatives, temperature=0.2, hardness=1).item(), 4)
    1.707
    >>> round(hard_info_nce(torch.zeros(2), negatives, temperature=0.2, hardness=0).item(), 4)
    1.5514

    Source: Robinson et al., arXiv 2010.04592, and the authors' code (joshr17/HCL), where b
    multiplies s/t and the gradient passes through the weights. Their correction for false
    negatives is left out (tau_plus = 0 there), and with it the lower bound that it needs.
    """
    return of_similarities(
        hard_info_nce_losses, positive, negatives, reduction, temperature, hardness=hardness
    )


def sog_clr(
    positive: Tensor,
    negatives: Tensor,
    *,
    temperature: float,
    sog_gamma: float,
    average: Average | None = None,
    reduction: str = "mean",
) -> Tensor:
    """SogCLR: the sum over the negatives is divided by its moving average over many batches.

    L = log u  with the gradient of g / stop(u),  g = sum_i e^{(s_i - s_0)/t},
    u = (1 - gamma) u' + gamma g,  u' the average before this batch

    Args:
        positive: cosine similarities to the key of the same image, shape (N,).
        negatives: cosine similarities to keys of other images, shape (N, K).
        temperature: t, > 0.
        sog_gamma: gamma, in (0, 1]; 1 gives DCL.
        average: (log g, gamma) -> log u, such as `MovingAverages.update` of `eqco.losses.sogclr`
            with its rows given; None stands for images never seen before, u = g, which is DCL too.
        reduction: "mean", "sum" or "none".

    Returns:
        The mean over the N queries, shape (), or (N,) without reduction; float32 (float64 for
        float64 input).

    Raises:
        ValueError: shapes do not match, a similarity is not finite, temperature <= 0, or sog_gamma
            is out of its range.

    >>> import torch
    >>> half = lambda log_g, gamma: log_g + math.log(2)  # u = 2 g
    >>> case = torch.zeros(2), torch.zeros(2, 3)
    >>> round(sog_clr(*case, temperature=0.2, sog_gamma=0.9, average=half).item(), 4)  # log 6
    1.7918

    Source: Yuan et al., arXiv 2202.12387. The positive stands inside g, as in the objective of the
    authors' LibAUC and its loss for two modalities; its loss for images averages sum_i e^{s_i/t}.
    """
    return of_similarities(
        partial(sog_clr_losses, average=average),
        positive,
        negatives,
        reduction,
        temperature,
        sog_gamma=sog_gamma,
    )
