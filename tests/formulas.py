"""Every loss by its definition: plain exp and log of similarities in float64.

N queries, K negatives; positive has shape (N,), negatives (N, K), t is the temperature.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

from eqco.losses.registry import LOSSES


def info_nce(positive: Tensor, negatives: Tensor, t: float) -> Tensor:
    """-log( f_0 / (f_0 + sum f_i) ), f = e^{s/t}, shape (N,)."""
    own, rest = (positive / t).exp(), (negatives / t).exp().sum(dim=1)
    return -(own / (own + rest)).log()


def eqco(positive: Tensor, negatives: Tensor, t: float, alpha: float) -> Tensor:
    """InfoNCE with alpha / K before the sum."""
    own, mean = (positive / t).exp(), (negatives / t).exp().mean(dim=1)
    return -(own / (own + alpha * mean)).log()


def dcl(positive: Tensor, negatives: Tensor, t: float) -> Tensor:
    """log sum f_i - s_0/t."""
    return (negatives / t).exp().sum(dim=1).log() - positive / t


def mean_dcl(positive: Tensor, negatives: Tensor, t: float) -> Tensor:
    """DCL of the mean of the negatives instead of their sum."""
    return dcl(positive, negatives, t) - math.log(negatives.shape[1])


def constant(loss: Tensor) -> Tensor:
    """The value 1 with the gradient of a loss."""
    return (loss - loss.detach()).exp()


def dual_temperature(
    positive: Tensor, negatives: Tensor, t: float, second_temperature: float
) -> Tensor:
    """InfoNCE, weighted by the ratio of 1 - p_0 at both temperatures."""
    share = [-torch.expm1(-info_nce(positive, negatives, at)) for at in (second_temperature, t)]
    return (share[0] / share[1]).detach() * info_nce(positive, negatives, t)


def hard_info_nce(positive: Tensor, negatives: Tensor, t: float, hardness: float) -> Tensor:
    """InfoNCE with weights e^{b s/t} of mean 1 on the negatives."""
    weight = (hardness * negatives / t).exp()
    rest = (weight / weight.mean(dim=1, keepdim=True) * (negatives / t).exp()).sum(dim=1)
    own = (positive / t).exp()
    return -(own / (own + rest)).log()


def jackknife(loss: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """K L - (K - 1) * mean_i L without negative i."""

    def corrected(positive: Tensor, negatives: Tensor, *settings: float) -> Tensor:
        count = negatives.shape[1]
        rest = [
            loss(positive, torch.cat([negatives[:, :i], negatives[:, i + 1 :]], dim=1), *settings)
            for i in range(count)
        ]
        return count * loss(positive, negatives, *settings) - (count - 1) * sum(rest) / count

    return corrected


def dcl_jackknife(positive: Tensor, negatives: Tensor, t: float) -> Tensor:
    """The jackknife of DCL of the mean; log K, which DCL contains, stays."""
    return jackknife(mean_dcl)(positive, negatives, t) + math.log(negatives.shape[1])


def eqco_second_order(positive: Tensor, negatives: Tensor, t: float, alpha: float) -> Tensor:
    """EqCo + rho^2 cv^2 / (2 K)."""
    weights, count = (negatives / t).exp(), negatives.shape[1]
    squared_cv = weights.var(dim=1) / weights.mean(dim=1) ** 2
    share = 1 - (-eqco(positive, negatives, t, alpha)).exp()
    return eqco(positive, negatives, t, alpha) + share**2 * squared_cv / (2 * count)


def usual_settings(name: str, temperature: float = 0.2) -> dict[str, float]:
    """A temperature, and the setting that a loss has at its usual value."""
    loss = LOSSES[name]
    return {"temperature": temperature, **({loss.setting: loss.example} if loss.setting else {})}


DEFINITIONS: dict[str, Callable[..., Tensor]] = {  # (positive, negatives, t, setting of the loss)
    "infonce": info_nce,
    "eqco": eqco,
    "dcl": dcl,
    "flat_nce": lambda *given: constant(dcl(*given)),
    "dual_temperature": dual_temperature,
    "eqco_jackknife": jackknife(eqco),
    "eqco_second_order": eqco_second_order,
    "dcl_jackknife": dcl_jackknife,
    "flat_nce_jackknife": lambda *given: constant(dcl_jackknife(*given)),
    "hard_infonce": hard_info_nce,
    "sogclr": lambda positive, negatives, t, gamma: dcl(positive, negatives, t),  # the first time
}
