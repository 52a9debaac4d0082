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
            raise ValueError(f"there is nothing to contrast: negatives {tuple(negatives.shape)}")
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

    A query without any counts as one with a single negative infinitely far away.

    Args:
        similarity: of each query to each key, shape (n, M), float32 or wider.
        allowed: which keys are its negatives, shape (n, M).
        positive: similarities to positive keys, shape (N,).
        row: the query that each of them is of, shape (N,); None stands for N = n, in order.

    Attributes:
        num_negatives: K of each, shape (N,).
    """

    def __init__(
        self, similarity: Tensor, allowed: Tensor, positive: Tensor, row: Tensor | None = None
    ) -> None:
        self.similarity, self.allowed = similarity, allowed
        self.positive, self.row = positive, row
        self.num_negatives = self.of_pairs(allowed.sum(dim=1).clamp(min=1))

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
        self.num_negatives = logits.num_negatives + own.shape[1]

    def log_odds(self, temperature: float | Tensor) -> Tensor:
        """log sum_i e^{s_i/t} - s_0/t of each query, shape (N,)."""
        own = torch.logsumexp(self.own / temperature, dim=1) - self.positive / temperature
        return torch.logaddexp(self.logits.log_odds(temperature), own)

    def relative(self, temperature: float | Tensor) -> Tensor:
        """(s_i - s_0)/t of each negative, shape (N, K)."""
        own = (self.own - self.positive[:, None]) / temperature
        return torch.cat([self.logits.relative(temperature), own], dim=1)


# What a loss takes: `num_negatives` is K, `log_odds(t)` is v = log sum_i e^{s_i/t} - s_0/t of each
# query, (N,), and `relative(t)` has (s_i - s_0)/t, (N, K), whose log-sum-exp is v. N counts each
# draw of a query. Where queries differ in K, `num_negatives` has shape (N,).
ContrastiveLogits: TypeAlias = (
    ExplicitSimilarities | Similarities | MaskedSimilarities | WithNegatives
)
