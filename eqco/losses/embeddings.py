"""Cosine similarities of embeddings of any length. N queries, K negatives, D dimensions."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from eqco.losses.sampling import skip
from eqco.losses.similarity import FEW


def unit(embedding: Tensor) -> Tensor:
    """Embeddings of length 1 along the last dimension, float32 or wider, also under autocast."""
    return F.normalize(embedding.to(torch.promote_types(embedding.dtype, torch.float32)), dim=-1)


def check_embeddings(query: Tensor, key: Tensor) -> None:
    """Raise ValueError where these are not the embeddings of two views of N >= 2 images."""
    if query.ndim != 2 or query.shape != key.shape or len(query) < 2:
        raise ValueError(
            "the embeddings of both views must have the same shape (N, D) with N >= 2, got "
            f"{tuple(query.shape)} and {tuple(key.shape)}"
        )


def check_negatives(positive_key: Tensor, negative_keys: Tensor) -> None:
    """Raise ValueError where the negatives hold the positives: both the first and the last."""
    if torch.compiler.is_compiling():
        return
    own = negative_keys if negative_keys.ndim == 2 else negative_keys[[0, -1]]
    ends = positive_key[[0, -1], None]  # (2, 1, D)
    found = (own == ends).all(dim=2).any(dim=1).all()
    if found and not torch.equal(ends[0], ends[1]):
        raise ValueError(
            "negative_keys hold the positive keys too, which would be counted as negatives: leave "
            "each query's own key out, or call EqCoLoss()(query, key), which does"
        )


def similarities(
    query: Tensor, positive_key: Tensor, negative_keys: Tensor
) -> tuple[Tensor, Tensor]:
    """Cosine similarities to negatives of your own, for a loss of `eqco.losses.functional`.

    Args:
        query: embeddings, shape (N, D), any length.
        positive_key: keys of the same images, shape (N, D).
        negative_keys: keys of other images, (K, D) for all queries or (N, K, D) for each its own;
            the positive keys must not be among them.

    Returns:
        positive (N,) and negatives (N, K).

    Raises:
        ValueError: the shapes do not match, or the positive keys are among the negatives.

    >>> from eqco import eqco_info_nce
    >>> query, key, others = torch.eye(4, 8), torch.eye(4, 8), torch.ones(16, 8)
    >>> eqco_info_nce(*similarities(query, key, others), temperature=0.2, alpha=256).shape
    torch.Size([])
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
    check_negatives(positive_key, negative_keys)
    with torch.autocast(query.device.type, enabled=False):
        query, positive_key, negative_keys = map(unit, (query, positive_key, negative_keys))
        keys = "kd" if negative_keys.ndim == 2 else "nkd"
        negatives = torch.einsum(f"nd,{keys}->nk", query, negative_keys)
        return (query * positive_key).sum(dim=1), negatives


def others(columns: Tensor | None, total: int, *own: Tensor) -> Tensor:
    """Columns (n, K) among the other keys, None for all, as columns among all `total` keys.

    Args:
        columns: from 0 to total - len(own) - 1.
        total: how many keys there are.
        own: keys that are no negatives of each query, shape (n,) each, rising.
    """
    if columns is None:
        columns = torch.arange(total - len(own), device=own[0].device).expand(len(own[0]), -1)
    for each in own:
        columns = skip(columns, each)
    return columns


def products(query: Tensor, keys: Tensor, columns: Tensor | None) -> Tensor:
    """Products of each query (n, D) with its own of the keys (M, D), columns (n, K): (n, K)."""
    if columns is not None and columns.shape[1] * FEW <= len(keys):
        return torch.bmm(keys[columns], query[:, :, None])[:, :, 0]
    similarity = query @ keys.clone().T  # a queue changes before the backward pass
    return similarity if columns is None else similarity.gather(1, columns)
