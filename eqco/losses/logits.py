"""What a loss sees of N queries: the logits of their K negatives relative to the positive.

s_0 is the cosine similarity of a query to its positive key, s_i to a negative, t the temperature.
"""

from __future__ import annotations

import math
from typing import TypeAlias

import torch
from torch import Tensor

from eqco.losses.similarity import Similarities
from eqco.losses.tensors import (
    check_finite,
    check_tensors,
    full_precision,
    temperature_of,
    unit,
    wide,
)


class ExplicitSimilarities:
    """Logits of similarities that are given.

    Args:
        positive: cosine similarities to the key of the same image, shape (N,).
        negatives: cosine similarities to keys of other images, shape (N, K).

    Raises:
        ValueError: shapes do not match, or (on a CPU, outside torch.compile) a value is not finite.
    """

    def __init__(self, positive: Tensor, negatives: Tensor) -> None:
        check_tensors(positive, negatives)
        if positive.ndim != 1 or negatives.ndim != 2 or len(positive) != len(negatives):
            raise ValueError(
                "positive must have shape (N,) and negatives (N, K), got "
                f"{tuple(positive.shape)} and {tuple(negatives.shape)}"
            )
        if negatives.numel() == 0:
            raise ValueError(f"negatives must not be empty, got {tuple(negatives.shape)}")
        check_finite(positive, "positive")
        check_finite(negatives, "negatives")
        dtype = wide(torch.promote_types(positive.dtype, negatives.dtype))
        self.positive, self.negatives = positive.to(dtype), negatives.to(dtype)

    @property
    def num_negatives(self) -> int:
        """K."""
        return self.negatives.shape[1]

    def log_odds(self, temperature: float | Tensor) -> Tensor:
        """log sum_i e^{s_i/t} - s_0/t of each query, shape (N,)."""
        at = temperature_of(temperature)
        with full_precision(self.positive):
            return torch.logsumexp(self.negatives / at, dim=1) - self.positive / at

    def relative(self, temperature: float | Tensor) -> Tensor:
        """(s_i - s_0)/t of each negative, shape (N, K)."""
        return (self.negatives - self.positive[:, None]) / temperature_of(temperature)


class MaskedSimilarities:
    """Logits of queries that differ in their number of negatives, of n queries with M keys.

    A query without any has a loss of 0; its logits are those of a negative infinitely far away.

    Args:
        similarity: of each query to each key, shape (n, M), float32 or wider.
        allowed: which keys are its negatives, shape (n, M).
        positive: similarities to positive keys, shape (N,).
        row: the query that each of them is of, shape (N,); None stands for N = n, in order.

    Attributes:
        counts: how many negatives each has, shape (N,).
        num_negatives: K, the same but 1 at least.
    """

    def __init__(
        self, similarity: Tensor, allowed: Tensor, positive: Tensor, row: Tensor | None = None
    ) -> None:
        self.similarity, self.allowed = similarity, allowed
        self.positive, self.row = positive, row
        self.counts = self.of_pairs(allowed.sum(dim=1))
        self.num_negatives = self.counts.clamp(min=1)

    def of_pairs(self, rows: Tensor) -> Tensor:
        """What the queries have, for each positive: (n, ...) -> (N, ...)."""
        return rows if self.row is None else rows[self.row]

    def log_odds(self, temperature: float | Tensor) -> Tensor:
        """log sum_i e^{s_i/t} - s_0/t of each positive, shape (N,)."""
        least = torch.finfo(self.similarity.dtype).min / 4
        sums = (self.similarity / temperature).where(self.allowed, least).logsumexp(dim=1)
        return self.of_pairs(sums) - self.positive / temperature

    def relative(self, temperature: float | Tensor) -> Tensor:
        """(s_i - s_0)/t of each negative, shape (N, M), -inf where a key is none."""
        similarity, allowed = self.of_pairs(self.similarity), self.of_pairs(self.allowed)
        return ((similarity - self.positive[:, None]) / temperature).where(allowed, -math.inf)


class WithNegatives:
    """Logits of queries that have H negatives of their own besides others.

    Args:
        logits: of the other negatives.
        own: similarities to their own negatives, shape (N, H).
    """

    def __init__(self, logits: Similarities | MaskedSimilarities, own: Tensor) -> None:
        self.logits, self.own = logits, own
        self.positive = logits.positive
        known = logits.counts if isinstance(logits, MaskedSimilarities) else logits.num_negatives
        self.num_negatives = known + own.shape[1]

    def log_odds(self, temperature: float | Tensor) -> Tensor:
        own = torch.logsumexp(self.own / temperature, dim=1) - self.positive / temperature
        return torch.logaddexp(self.logits.log_odds(temperature), own)

    def relative(self, temperature: float | Tensor) -> Tensor:
        own = (self.own - self.positive[:, None]) / temperature
        return torch.cat([self.logits.relative(temperature), own], dim=1)


# What a loss takes: `num_negatives` is K, `log_odds(t)` is v = log sum_i e^{s_i/t} - s_0/t of each
# query, (N,), and `relative(t)` has (s_i - s_0)/t, (N, K), whose log-sum-exp is v. N counts each
# draw of a query. Where queries differ in K, `num_negatives` has shape (N,).
ContrastiveLogits: TypeAlias = (
    ExplicitSimilarities | Similarities | MaskedSimilarities | WithNegatives
)


def check_negatives(positive_key: Tensor, negative_keys: Tensor) -> None:
    """Raise ValueError where the negatives hold the positives: both the first and the last."""
    if torch.compiler.is_compiling():
        return
    ends_of_negatives = negative_keys if negative_keys.ndim == 2 else negative_keys[[0, -1]]
    ends = positive_key[[0, -1], None]  # (2, 1, D)
    contained = (ends_of_negatives == ends).all(dim=2).any(dim=1).all()
    if contained and not torch.equal(ends[0], ends[1]):
        raise ValueError(
            "negative_keys hold the positive keys too, which would be counted as negatives: leave "
            "each query's own key out, or call EqCoLoss()(query, key), which does"
        )


def similarities(
    query: Tensor, positive_key: Tensor, negative_keys: Tensor
) -> tuple[Tensor, Tensor]:
    """Cosine similarities of embeddings to negatives of your own, for a loss of
    `eqco.losses.functional`.

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
    check_tensors(query, positive_key, negative_keys)
    fits = (
        query.ndim == 2
        and query.shape[1] > 0
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
    with full_precision(query):
        query, positive_key, negative_keys = map(unit, (query, positive_key, negative_keys))
        keys = "kd" if negative_keys.ndim == 2 else "nkd"
        negatives = torch.einsum(f"nd,{keys}->nk", query, negative_keys)
        return (query * positive_key).sum(dim=1), negatives
