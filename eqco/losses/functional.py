"""Contrastive losses. N queries, K negatives per query; similarities are cosines in [-1, 1].

Each loss depends on a query through its gap alone: v = log sum_i e^{s_i/t} - s_0/t over its K
negatives. The one line this project is about is in `eqco_losses`: log(alpha / K) added to the gap.
Those without the bias of few negatives are in `eqco.losses.bias_corrected`. Every loss takes
`reduction`: "mean", "sum" or "none" over the queries.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from eqco.analysis.theory import log_weight
from eqco.losses.bias_corrected import (
    dcl_jackknife,
    dcl_jackknife_losses,
    eqco_jackknife,
    eqco_jackknife_losses,
    eqco_second_order,
    eqco_second_order_losses,
    flat_nce_jackknife,
    flat_nce_jackknife_losses,
)
from eqco.losses.logits import Gaps, log_one_plus_exp, of_similarities
from eqco.losses.rivals import hard_info_nce, hard_info_nce_losses, sog_clr, sog_clr_losses


def info_nce_losses(found: Gaps, *, temperature: float) -> Tensor:
    """InfoNCE of each query, shape (N,): log(1 + e^v)."""
    return log_one_plus_exp(found.gap(temperature))


def eqco_losses(found: Gaps, *, temperature: float, alpha: float) -> Tensor:
    """EqCo of each query, shape (N,): log(1 + (alpha / K) e^v)."""
    return log_one_plus_exp(found.gap(temperature) + log_weight(found.num_negatives, alpha))


def dcl_losses(found: Gaps, *, temperature: float) -> Tensor:
    """DCL of each query, shape (N,): v."""
    return found.gap(temperature)


def flat_nce_losses(found: Gaps, *, temperature: float) -> Tensor:
    """FlatNCE of each query, shape (N,): e^{v - stop(v)}."""
    gap = found.gap(temperature)
    return (gap - gap.detach()).exp()


def dual_temperature_losses(
    found: Gaps, *, temperature: float, second_temperature: float
) -> Tensor:
    """Dual temperature of each query, shape (N,)."""
    gap = found.gap(temperature)
    with torch.no_grad():
        weight = torch.sigmoid(found.gap(second_temperature))
        # InfoNCE / (1 - p_0(t)); its limit 1 + e^v / 2 where both underflow
        limit = 1 + gap.exp() / 2
        ratio = torch.where(gap < -20, limit, log_one_plus_exp(gap) / torch.sigmoid(gap))
    # The gradient of InfoNCE is (1 - p_0(t)) times that of the gap; the quotient leaves the gap's.
    return weight * (ratio + gap - gap.detach())


def info_nce(
    positive: Tensor, negatives: Tensor, *, temperature: float, reduction: str = "mean"
) -> Tensor:
    """InfoNCE: cross-entropy of picking the positive among K + 1 keys.

    L = -log( e^{s_0/t} / (e^{s_0/t} + sum_i e^{s_i/t}) )

    Args:
        positive: cosine similarities to the key of the same image, shape (N,).
        negatives: cosine similarities to keys of other images, shape (N, K).
        temperature: t, > 0.
        reduction: "mean", "sum" or "none".

    Returns:
        The mean over the N queries, shape (), or (N,) without reduction; float32 (float64 for
        float64 input).

    Raises:
        ValueError: shapes do not match, a similarity is not finite, temperature <= 0.

    >>> round(info_nce(torch.zeros(2), torch.zeros(2, 3), temperature=0.2).item(), 4)  # log 4
    1.3863

    Source: van den Oord et al., arXiv 1807.03748. It rises with K: log(1 + K) at equal
    similarities. `eqco_info_nce` with alpha = K is the same function.
    """
    return of_similarities(info_nce_losses, positive, negatives, reduction, temperature)


def eqco_info_nce(
    positive: Tensor,
    negatives: Tensor,
    *,
    temperature: float,
    alpha: float | None,
    reduction: str = "mean",
) -> Tensor:
    """EqCo: InfoNCE in which K negatives weigh as much as alpha negatives would.

    L = -log( e^{s_0/t} / (e^{s_0/t} + (alpha / K) * sum_i e^{s_i/t}) )

    Args:
        positive: cosine similarities to the key of the same image, shape (N,).
        negatives: cosine similarities to keys of other images, shape (N, K).
        temperature: t, > 0.
        alpha: effective number of negatives, > 0; None stands for K, which is InfoNCE.
        reduction: "mean", "sum" or "none".

    Returns:
        The mean over the N queries, shape (), or (N,) without reduction; float32 (float64 for
        float64 input).

    Raises:
        ValueError: shapes do not match, a similarity is not finite, temperature or alpha <= 0.

    >>> few, many = torch.zeros(2, 3), torch.zeros(2, 300)
    >>> round(eqco_info_nce(torch.zeros(2), few, temperature=0.2, alpha=16).item(), 4)  # log 17
    2.8332
    >>> round(eqco_info_nce(torch.zeros(2), many, temperature=0.2, alpha=16).item(), 4)
    2.8332

    Source: EqCo, arXiv 2010.01929. As alpha grows, L - log(alpha / K) tends to DCL.
    """
    if alpha is None:
        return info_nce(positive, negatives, temperature=temperature, reduction=reduction)
    return of_similarities(eqco_losses, positive, negatives, reduction, temperature, alpha=alpha)


def dcl(
    positive: Tensor, negatives: Tensor, *, temperature: float, reduction: str = "mean"
) -> Tensor:
    """Decoupled contrastive learning: InfoNCE without the positive in the denominator.

    L = log( sum_i e^{s_i/t} ) - s_0/t

    Args:
        positive: cosine similarities to the key of the same image, shape (N,).
        negatives: cosine similarities to keys of other images, shape (N, K).
        temperature: t, > 0.
        reduction: "mean", "sum" or "none".

    Returns:
        The mean over the N queries, shape (), or (N,) without reduction; float32 (float64 for
        float64 input).

    Raises:
        ValueError: shapes do not match, a similarity is not finite, temperature <= 0.

    >>> round(dcl(torch.zeros(2), torch.zeros(2, 3), temperature=0.2).item(), 4)  # log 3
    1.0986

    Source: Yeh et al., arXiv 2110.06848. EqCo minus log(alpha / K) tends to it as alpha grows.
    """
    return of_similarities(dcl_losses, positive, negatives, reduction, temperature)


def flat_nce(
    positive: Tensor, negatives: Tensor, *, temperature: float, reduction: str = "mean"
) -> Tensor:
    """FlatNCE: always 1, with the gradient of DCL.

    L = e^{v - stop(v)},  v = log( sum_i e^{s_i/t} ) - s_0/t

    Args:
        positive: cosine similarities to the key of the same image, shape (N,).
        negatives: cosine similarities to keys of other images, shape (N, K).
        temperature: t, > 0.
        reduction: "mean", "sum" or "none".

    Returns:
        The mean over the N queries, shape (), or (N,) without reduction: 1 up to rounding. Watch
        DCL's value instead.

    Raises:
        ValueError: shapes do not match, a similarity is not finite, temperature <= 0.

    >>> flat_nce(torch.zeros(2), torch.zeros(2, 3), temperature=0.2).item()
    1.0

    Source: Chen et al., arXiv 2107.01152.
    """
    return of_similarities(flat_nce_losses, positive, negatives, reduction, temperature)


def dual_temperature(
    positive: Tensor,
    negatives: Tensor,
    *,
    temperature: float,
    second_temperature: float,
    reduction: str = "mean",
) -> Tensor:
    """InfoNCE with each query weighted as at a second temperature.

    L = stop( (1 - p_0(t')) / (1 - p_0(t)) ) * InfoNCE(t),  p_0 the softmax of the positive

    Args:
        positive: cosine similarities to the key of the same image, shape (N,).
        negatives: cosine similarities to keys of other images, shape (N, K).
        temperature: t, > 0, between the negatives of a query.
        second_temperature: t', > 0, between queries; the same t gives InfoNCE.
        reduction: "mean", "sum" or "none".

    Returns:
        The mean over the N queries, shape (), or (N,) without reduction; float32 (float64 for
        float64 input).

    Raises:
        ValueError: shapes do not match, a similarity is not finite, a temperature <= 0.

    >>> half, none = torch.full((2,), 0.5), torch.zeros(2, 3)
    >>> round(dual_temperature(half, none, temperature=0.2, second_temperature=1.0).item(), 4)
    0.719
    >>> round(info_nce(half, none, temperature=0.2).item(), 4)
    0.2201

    Source: Zhang et al., arXiv 2203.17248 (t = 0.1, t' = 1 there).
    """
    return of_similarities(
        dual_temperature_losses,
        positive,
        negatives,
        reduction,
        temperature,
        second_temperature=second_temperature,
    )


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


@dataclass(frozen=True)
class Loss:
    """A loss as recipes name it.

    Attributes:
        losses: (found, *, temperature, ...) -> loss of each query; `found` is a `Gaps`.
        function: (positive, negatives, *, temperature, reduction, ...) -> loss.
        title: its name in tables and figures.
        setting: the recipe field that it needs besides the temperature, or "".
        example: a usual value of that field, for messages.
        limit: weight of the negatives in the limit of many keys where no alpha is given; None
            stands for K.
        corrects: the loss whose bias of few negatives it takes out, or "".
        fewest: negatives that it needs, K at least.
        averages: whether `losses` takes `average`, which remembers every training image.
        rival: whether it is compared with the family as another method, not as one of it.
    """

    losses: Callable[..., Tensor]
    function: Callable[..., Tensor]
    title: str
    setting: str = ""
    example: float = math.nan
    limit: float | None = None
    corrects: str = ""
    fewest: int = 1
    averages: bool = False
    rival: bool = False

    def effective_negatives(self, num_negatives: int, alpha: float | None) -> float:
        """How many negatives the K of a query weigh as much as."""
        return alpha or self.limit or float(num_negatives)


# DCL and FlatNCE are EqCo with alpha beyond all bounds.
LOSSES: dict[str, Loss] = {
    "infonce": Loss(info_nce_losses, info_nce, "InfoNCE"),
    "eqco": Loss(eqco_losses, eqco_info_nce, "EqCo", setting="alpha", example=256),
    "dcl": Loss(dcl_losses, dcl, "DCL", limit=1e300),
    "flat_nce": Loss(flat_nce_losses, flat_nce, "FlatNCE", limit=1e300),
    "dual_temperature": Loss(
        dual_temperature_losses,
        dual_temperature,
        "dual temp.",
        setting="second_temperature",
        example=1,
    ),
    "eqco_jackknife": Loss(
        eqco_jackknife_losses, eqco_jackknife, "EqCo jackknife", "alpha", 256, None, "eqco", 2
    ),
    "eqco_second_order": Loss(
        eqco_second_order_losses, eqco_second_order, "EqCo 2nd order", "alpha", 256, None, "eqco", 2
    ),
    "dcl_jackknife": Loss(
        dcl_jackknife_losses, dcl_jackknife, "DCL jackknife", limit=1e300, corrects="dcl", fewest=2
    ),
    "flat_nce_jackknife": Loss(
        flat_nce_jackknife_losses,
        flat_nce_jackknife,
        "FlatNCE jackknife",
        limit=1e300,
        corrects="flat_nce",
        fewest=2,
    ),
    "hard_infonce": Loss(
        hard_info_nce_losses,
        hard_info_nce,
        "hard InfoNCE",
        setting="hardness",
        example=1,
        rival=True,
    ),
    "sogclr": Loss(
        sog_clr_losses,
        sog_clr,
        "SogCLR",
        setting="sog_gamma",
        example=0.9,
        limit=1e300,
        averages=True,
        rival=True,
    ),
}
