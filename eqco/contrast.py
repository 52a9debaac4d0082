"""Contrastive losses. N queries, K negatives per query; similarities are cosines in [-1, 1].

Each loss depends on a query through its gap alone: v = log sum_i e^{s_i/t} - s_0/t over its K
negatives. The one line this project is about is in `eqco_losses`: log(alpha / K) added to the gap.
Every loss takes `reduction`: "mean", "sum" or "none" over the queries.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from eqco.checks import Number, check_name, positive_finite
from eqco.sogclr import Average, averaged_losses
from eqco.theory import log_weight

REDUCTIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "mean": torch.mean,
    "sum": torch.sum,
    "none": lambda losses: losses,
}


def checked(positive: Tensor, negatives: Tensor) -> tuple[Tensor, Tensor]:
    """Similarities as float32 or wider; ValueError where shapes differ or a value is not finite."""
    if positive.ndim != 1 or negatives.ndim != 2 or len(positive) != len(negatives):
        raise ValueError(
            "positive must have shape (N,) and negatives (N, K), got "
            f"{tuple(positive.shape)} and {tuple(negatives.shape)}"
        )
    if len(positive) == 0 or negatives.shape[1] == 0:
        raise ValueError(f"there is nothing to contrast: negatives {tuple(negatives.shape)}")
    if positive.device.type == "cpu":  # on a GPU this test would wait for the device at every step
        for name, values in (("positive", positive), ("negatives", negatives)):
            if not torch.isfinite(values).all():
                raise ValueError(f"{name} holds NaN or infinite similarities")
    wide = torch.promote_types(torch.promote_types(positive.dtype, negatives.dtype), torch.float32)
    return positive.to(wide), negatives.to(wide)


GapAt = Callable[[float], Tensor]  # temperature -> gap of each query, shape (N,)


def log_one_plus_exp(gap: Tensor) -> Tensor:
    """log(1 + e^v), exact in float64 too, where torch's usual threshold of 20 costs 2e-9."""
    return F.softplus(gap, threshold=40)


def info_nce_losses(gap_at: GapAt, num_negatives: int, *, temperature: float) -> Tensor:
    """InfoNCE of each query, shape (N,): log(1 + e^v)."""
    return log_one_plus_exp(gap_at(temperature))


def eqco_losses(gap_at: GapAt, num_negatives: int, *, temperature: float, alpha: float) -> Tensor:
    """EqCo of each query, shape (N,): log(1 + (alpha / K) e^v)."""
    return log_one_plus_exp(gap_at(temperature) + log_weight(num_negatives, alpha))


def dcl_losses(gap_at: GapAt, num_negatives: int, *, temperature: float) -> Tensor:
    """DCL of each query, shape (N,): v."""
    return gap_at(temperature)


def flat_nce_losses(gap_at: GapAt, num_negatives: int, *, temperature: float) -> Tensor:
    """FlatNCE of each query, shape (N,): e^{v - stop(v)}."""
    gap = gap_at(temperature)
    return (gap - gap.detach()).exp()


def dual_temperature_losses(
    gap_at: GapAt, num_negatives: int, *, temperature: float, second_temperature: float
) -> Tensor:
    """Dual temperature of each query, shape (N,)."""
    gap = gap_at(temperature)
    with torch.no_grad():
        weight = torch.sigmoid(gap_at(second_temperature))
        # InfoNCE / (1 - p_0(t)); its limit 1 where both underflow
        ratio = torch.where(gap < -20, 1.0, log_one_plus_exp(gap) / torch.sigmoid(gap))
    # The gradient of InfoNCE is (1 - p_0(t)) times that of the gap; the quotient leaves the gap's.
    return weight * (ratio + gap - gap.detach())


HARDNESS = Number(0, 100)
SOG_GAMMA = Number(0, 1, open_low=True)


def hard_info_nce_losses(
    gap_at: GapAt, num_negatives: int, *, temperature: float, hardness: float
) -> Tensor:
    """InfoNCE with reweighted negatives of each query, shape (N,)."""
    HARDNESS.check("hardness", hardness)
    if hardness == 0:
        return log_one_plus_exp(gap_at(temperature))
    # log( sum_i e^{(1 + beta) s_i/t} / mean_i e^{beta s_i/t} ) - s_0/t
    harder = gap_at(temperature / (1 + hardness)) - gap_at(temperature / hardness)
    return log_one_plus_exp(harder + math.log(num_negatives))


def sog_clr_losses(
    gap_at: GapAt,
    num_negatives: int,
    *,
    temperature: float,
    sog_gamma: float,
    average: Average | None = None,
) -> Tensor:
    """SogCLR of each query, shape (N,); `average` keeps u for each image, see `eqco.sogclr`."""
    SOG_GAMMA.check("sog_gamma", sog_gamma)
    return averaged_losses(gap_at(temperature), sog_gamma, average)


def of_similarities(
    losses: Callable[..., Tensor],
    positive: Tensor,
    negatives: Tensor,
    reduction: str,
    temperature: float,
    **settings: Any,
) -> Tensor:
    """A loss of explicit similarities, positive (N,) and negatives (N, K)."""
    check_name("reduction", reduction, REDUCTIONS)
    positive, negatives = checked(positive, negatives)

    def gap_at(at: float) -> Tensor:
        positive_finite("temperature", at)
        with torch.autocast(positive.device.type, enabled=False):
            return torch.logsumexp(negatives / at, dim=1) - positive / at

    found = losses(gap_at, negatives.shape[1], temperature=temperature, **settings)
    return REDUCTIONS[reduction](found)


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

    >>> negatives = torch.tensor([[0.2, 0.0], [0.2, 0.0]])
    >>> round(hard_info_nce(torch.zeros(2), negatives, temperature=0.2, hardness=1).item(), 4)
    1.707
    >>> round(info_nce(torch.zeros(2), negatives, temperature=0.2).item(), 4)
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
        average: (log g, gamma) -> log u, such as `MovingAverages.update` of `eqco.sogclr` with its
            rows given; None stands for images never seen before, u = g, which is DCL too.
        reduction: "mean", "sum" or "none".

    Returns:
        The mean over the N queries, shape (), or (N,) without reduction; float32 (float64 for
        float64 input).

    Raises:
        ValueError: shapes do not match, a similarity is not finite, temperature <= 0, or sog_gamma
            is out of its range.

    >>> half = lambda log_g, gamma: log_g + math.log(2)  # u = 2 g
    >>> case = torch.zeros(2), torch.zeros(2, 3)
    >>> round(sog_clr(*case, temperature=0.2, sog_gamma=0.9, average=half).item(), 4)  # log 6
    1.7918

    Source: Yuan et al., arXiv 2202.12387. The positive stands inside g, as in the objective of the
    authors' LibAUC and its loss for two modalities; its loss for images averages sum_i e^{s_i/t}.
    """
    return of_similarities(
        sog_clr_losses,
        positive,
        negatives,
        reduction,
        temperature,
        sog_gamma=sog_gamma,
        average=average,
    )


@dataclass(frozen=True)
class Loss:
    """A loss as recipes name it.

    Attributes:
        losses: (gap_at, num_negatives, *, temperature, ...) -> loss of each query.
        function: (positive, negatives, *, temperature, reduction, ...) -> loss.
        title: its name in tables and figures.
        setting: the recipe field that it needs besides the temperature, or "".
        example: a usual value of that field, for messages.
        limit: weight of the negatives in the limit of many keys where no alpha is given; None
            stands for K.
        averages: whether `losses` takes `average`, which remembers every training image.
        rival: whether it is compared with the family as another method, not as one of it.
    """

    losses: Callable[..., Tensor]
    function: Callable[..., Tensor]
    title: str
    setting: str = ""
    example: float = math.nan
    limit: float | None = None
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
