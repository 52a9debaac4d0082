"""Losses as modules, on embeddings of any length. N queries, K negatives, D dimensions."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from eqco.checks import positive_finite
from eqco.contrast import eqco_info_nce
from eqco.corrected import eqco_jackknife


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


class EqCoJackknife(EqCoInfoNCE):
    """`eqco_jackknife` on embeddings of any length, for a training loop of your own.

    Args:
        temperature: softmax temperature, > 0.
        alpha: effective number of negatives, > 0.

    >>> loss = EqCoJackknife(temperature=0.2, alpha=256)
    >>> loss(torch.eye(4, 8), torch.eye(4, 8), torch.ones(16, 8)).shape
    torch.Size([])
    """

    alpha: float

    def __init__(self, *, temperature: float = 0.2, alpha: float = 256.0) -> None:
        super().__init__(temperature=temperature, alpha=positive_finite("alpha", alpha))

    def forward(self, query: Tensor, positive_key: Tensor, negative_keys: Tensor) -> Tensor:
        """Mean loss of query (N, D), positive_key (N, D), negative_keys (K, D) or (N, K, D)."""
        positive, negatives = similarities(query, positive_key, negative_keys)
        return eqco_jackknife(positive, negatives, temperature=self.temperature, alpha=self.alpha)
