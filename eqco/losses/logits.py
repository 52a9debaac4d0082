"""What a loss sees of N queries: the logits of their K negatives relative to the positive.

s_0 is the cosine similarity of a query to its positive key, s_i to a negative, t the temperature.
"""

from __future__ import annotations

from typing import TypeAlias

import torch
from torch import Tensor

from eqco.losses.similarity import Similarities
from eqco.losses.tensors import check_finite, check_tensors, full_precision, wide
from eqco.runtime.validation import check_temperature


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

    def log_odds(self, temperature: float) -> Tensor:
        """log sum_i e^{s_i/t} - s_0/t of each query, shape (N,)."""
        at = check_temperature(temperature)
        with full_precision(self.positive):
            return torch.logsumexp(self.negatives / at, dim=1) - self.positive / at

    def relative(self, temperature: float) -> Tensor:
        """(s_i - s_0)/t of each negative, shape (N, K)."""
        return (self.negatives - self.positive[:, None]) / check_temperature(temperature)


# What a loss takes: `num_negatives` is K, `log_odds(t)` is v = log sum_i e^{s_i/t} - s_0/t of each
# query, (N,), and `relative(t)` has (s_i - s_0)/t, (N, K), whose log-sum-exp is v. N counts each
# draw of a query.
ContrastiveLogits: TypeAlias = ExplicitSimilarities | Similarities
