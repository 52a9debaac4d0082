"""Contrastive losses. N queries, K negatives per query; similarities are cosines in [-1, 1].

The one line this project is about is in `eqco_info_nce`: log(alpha / K) on the negative logits.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from eqco.theory import margin, positive_finite


def checked(positive: Tensor, negatives: Tensor) -> tuple[Tensor, Tensor]:
    """Similarities in float32 at least, or ValueError where shapes or values cannot be right."""
    if positive.ndim != 1 or negatives.ndim != 2 or len(positive) != len(negatives):
        raise ValueError(
            "positive must have shape (N,) and negatives (N, K), got "
            f"{tuple(positive.shape)} and {tuple(negatives.shape)}"
        )
    if len(positive) == 0 or negatives.shape[1] == 0:
        raise ValueError(f"there is nothing to contrast: negatives {tuple(negatives.shape)}")
    if positive.device.type == "cpu":  # on a GPU the test would stall every step
        for name, values in (("positive", positive), ("negatives", negatives)):
            if not torch.isfinite(values).all():
                raise ValueError(f"{name} holds NaN or infinite similarities")
    wide = torch.promote_types(torch.promote_types(positive.dtype, negatives.dtype), torch.float32)
    return positive.to(wide), negatives.to(wide)


def info_nce(positive: Tensor, negatives: Tensor, *, temperature: float) -> Tensor:
    """InfoNCE: cross-entropy of picking the positive among K + 1 keys.

    L = -log( e^{s_0/t} / (e^{s_0/t} + sum_i e^{s_i/t}) )

    Args:
        positive: cosine similarities to the key of the same image, shape (N,).
        negatives: cosine similarities to keys of other images, shape (N, K).
        temperature: t, > 0.

    Returns:
        The mean over the N queries, shape (), float32 (float64 for float64 input).

    Raises:
        ValueError: shapes do not match, a similarity is not finite, temperature <= 0.

    >>> round(info_nce(torch.zeros(2), torch.zeros(2, 3), temperature=0.2).item(), 4)  # log 4
    1.3863

    Source: van den Oord et al., arXiv 1807.03748. It rises with K: log(1 + K) at equal
    similarities. `eqco_info_nce` with alpha = K is the same function.
    """
    return eqco_info_nce(positive, negatives, temperature=temperature, alpha=None)


def eqco_info_nce(
    positive: Tensor, negatives: Tensor, *, temperature: float, alpha: float | None
) -> Tensor:
    """EqCo: InfoNCE in which K negatives weigh as much as alpha would.

    L = -log( e^{s_0/t} / (e^{s_0/t} + (alpha / K) * sum_i e^{s_i/t}) )

    Args:
        positive: cosine similarities to the key of the same image, shape (N,).
        negatives: cosine similarities to keys of other images, shape (N, K).
        temperature: t, > 0.
        alpha: effective number of negatives, > 0; None stands for K, which is InfoNCE.

    Returns:
        The mean over the N queries, shape (), float32 (float64 for float64 input).

    Raises:
        ValueError: shapes do not match, a similarity is not finite, temperature or alpha <= 0.

    >>> few, many = torch.zeros(2, 3), torch.zeros(2, 300)
    >>> round(eqco_info_nce(torch.zeros(2), few, temperature=0.2, alpha=16).item(), 4)  # log 17
    2.8332
    >>> round(eqco_info_nce(torch.zeros(2), many, temperature=0.2, alpha=16).item(), 4)
    2.8332

    Source: EqCo, arXiv 2010.01929. As alpha grows, L - log(alpha / K) tends to DCL.
    """
    positive_finite("temperature", temperature)
    positive, negatives = checked(positive, negatives)
    num_negatives = negatives.shape[1]
    if alpha is not None:
        shift = margin(num_negatives, temperature=temperature, alpha=alpha)
        negatives = negatives + shift  # log(alpha / K) on the logits
    logits = torch.cat([positive[:, None], negatives], dim=1) / temperature  # (N, 1 + K)
    with torch.autocast(logits.device.type, enabled=False):
        target = torch.zeros(len(logits), dtype=torch.long, device=logits.device)
        return F.cross_entropy(logits, target)


def negative_gap(positive: Tensor, negatives: Tensor, temperature: float) -> Tensor:
    """log sum_i e^{s_i/t} - s_0/t for each query, shape (N,): DCL before the mean."""
    positive_finite("temperature", temperature)
    positive, negatives = checked(positive, negatives)
    with torch.autocast(positive.device.type, enabled=False):
        return torch.logsumexp(negatives / temperature, dim=1) - positive / temperature


def dcl(positive: Tensor, negatives: Tensor, *, temperature: float) -> Tensor:
    """Decoupled contrastive learning: InfoNCE without the positive in the denominator.

    L = log( sum_i e^{s_i/t} ) - s_0/t

    Args:
        positive: cosine similarities to the key of the same image, shape (N,).
        negatives: cosine similarities to keys of other images, shape (N, K).
        temperature: t, > 0.

    Returns:
        The mean over the N queries, shape (), float32 (float64 for float64 input).

    Raises:
        ValueError: shapes do not match, a similarity is not finite, temperature <= 0.

    >>> round(dcl(torch.zeros(2), torch.zeros(2, 3), temperature=0.2).item(), 4)  # log 3
    1.0986

    Source: Yeh et al., arXiv 2110.06848. EqCo minus log(alpha / K) tends to it as alpha grows.
    """
    return negative_gap(positive, negatives, temperature).mean()


def flat_nce(positive: Tensor, negatives: Tensor, *, temperature: float) -> Tensor:
    """FlatNCE: always 1, with the gradient of DCL.

    L = e^{v - stop(v)},  v = log( sum_i e^{s_i/t} ) - s_0/t

    Args:
        positive: cosine similarities to the key of the same image, shape (N,).
        negatives: cosine similarities to keys of other images, shape (N, K).
        temperature: t, > 0.

    Returns:
        The mean over the N queries, shape (): 1 up to rounding. Watch DCL's value instead.

    Raises:
        ValueError: shapes do not match, a similarity is not finite, temperature <= 0.

    >>> flat_nce(torch.zeros(2), torch.zeros(2, 3), temperature=0.2).item()
    1.0

    Source: Chen et al., arXiv 2107.01152.
    """
    gap = negative_gap(positive, negatives, temperature)
    return (gap - gap.detach()).exp().mean()


def dual_temperature(
    positive: Tensor, negatives: Tensor, *, temperature: float, second_temperature: float
) -> Tensor:
    """InfoNCE whose queries are weighed as at a second temperature.

    L = stop( (1 - p_0(t')) / (1 - p_0(t)) ) * InfoNCE(t),  p_0 the softmax of the positive

    Args:
        positive: cosine similarities to the key of the same image, shape (N,).
        negatives: cosine similarities to keys of other images, shape (N, K).
        temperature: t, > 0, between the negatives of a query.
        second_temperature: t', > 0, between queries; the same t gives InfoNCE.

    Returns:
        The mean over the N queries, shape (), float32 (float64 for float64 input).

    Raises:
        ValueError: shapes do not match, a similarity is not finite, a temperature <= 0.

    >>> half, none = torch.full((2,), 0.5), torch.zeros(2, 3)
    >>> round(dual_temperature(half, none, temperature=0.2, second_temperature=1.0).item(), 4)
    0.719
    >>> round(info_nce(half, none, temperature=0.2).item(), 4)
    0.2201

    Source: Zhang et al., arXiv 2203.17248 (t = 0.1, t' = 1 there).
    """
    gap = negative_gap(positive, negatives, temperature)
    with torch.no_grad():
        weight = torch.sigmoid(negative_gap(positive, negatives, second_temperature))
        # InfoNCE / (1 - p_0(t)), which is 1 where both are too small to be divided
        ratio = torch.where(gap < -20, 1.0, F.softplus(gap) / torch.sigmoid(gap))
    # The gradient of InfoNCE is (1 - p_0(t)) times that of the gap; the quotient leaves the gap's.
    return (weight * (ratio + gap - gap.detach())).mean()


LOSSES: dict[str, Callable[..., Tensor]] = {
    "infonce": info_nce,
    "eqco": eqco_info_nce,
    "dcl": dcl,
    "flat_nce": flat_nce,
    "dual_temperature": dual_temperature,
}


def similarities(
    query: Tensor, positive_key: Tensor, negative_keys: Tensor
) -> tuple[Tensor, Tensor]:
    """Cosine similarities of embeddings.

    Args:
        query: embeddings, shape (N, D), any length.
        positive_key: keys of the same images, shape (N, D).
        negative_keys: keys of other images, (K, D) for all queries or (N, K, D) for each its own.

    Returns:
        positive (N,) and negatives (N, K).

    Raises:
        ValueError: the shapes do not match.
    """
    fits = (
        query.ndim == 2
        and query.shape == positive_key.shape
        and negative_keys.ndim in (2, 3)
        and negative_keys.shape[-1] == query.shape[1]
        and (negative_keys.ndim == 2 or len(negative_keys) == len(query))
    )
    if not fits:
        raise ValueError(
            "query and positive_key must be (N, D), negative_keys (K, D) or (N, K, D), got "
            f"{tuple(query.shape)}, {tuple(positive_key.shape)}, {tuple(negative_keys.shape)}"
        )
    wide = torch.promote_types(query.dtype, torch.float32)
    with torch.autocast(query.device.type, enabled=False):
        query, positive_key, negative_keys = (
            F.normalize(part.to(wide), dim=-1) for part in (query, positive_key, negative_keys)
        )
        keys = "kd" if negative_keys.ndim == 2 else "nkd"
        negatives = torch.einsum(f"nd,{keys}->nk", query, negative_keys)
        return (query * positive_key).sum(dim=1), negatives


class EqCoInfoNCE(nn.Module):
    """`eqco_info_nce` on embeddings of any length, for a training loop of your own.

    Args:
        temperature: softmax temperature, > 0.
        alpha: effective number of negatives, > 0; None gives InfoNCE.

    >>> loss = EqCoInfoNCE(temperature=0.2, alpha=256)
    >>> loss(torch.eye(4, 8), torch.eye(4, 8), torch.ones(16, 8)).shape
    torch.Size([])
    """

    def __init__(self, *, temperature: float = 0.2, alpha: float | None = 256.0) -> None:
        super().__init__()
        self.temperature = positive_finite("temperature", temperature)
        self.alpha = None if alpha is None else positive_finite("alpha", alpha)

    def forward(self, query: Tensor, positive_key: Tensor, negative_keys: Tensor) -> Tensor:
        """Mean loss of query (N, D), positive_key (N, D), negative_keys (K, D) or (N, K, D)."""
        positive, negatives = similarities(query, positive_key, negative_keys)
        return eqco_info_nce(positive, negatives, temperature=self.temperature, alpha=self.alpha)

    def extra_repr(self) -> str:
        """What `print(loss)` shows."""
        return f"temperature={self.temperature}, alpha={self.alpha}"


class InfoNCE(EqCoInfoNCE):
    """`info_nce` on embeddings of any length, for a training loop of your own.

    Args:
        temperature: softmax temperature, > 0.
    """

    def __init__(self, *, temperature: float = 0.2) -> None:
        super().__init__(temperature=temperature, alpha=None)
