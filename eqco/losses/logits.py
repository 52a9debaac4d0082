"""What a loss is given of N queries: the gap of each, and what each of K negatives adds to it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import torch
import torch.nn.functional as F
from torch import Tensor

from eqco.runtime.validation import check_name, check_temperature

REDUCTIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "mean": torch.mean,
    "sum": torch.sum,
    "none": lambda losses: losses,
}


class Gaps(Protocol):
    """Queries and their negatives as a loss sees them."""

    @property
    def num_negatives(self) -> int:
        """K."""

    def gap(self, temperature: float) -> Tensor:
        """v = log sum_i e^{s_i/t} - s_0/t of each query, shape (N,)."""

    def logits(self, temperature: float) -> Tensor:
        """(s_i - s_0)/t of each negative, shape (N, K); their log-sum-exp is the gap."""


class Explicit:
    """Gaps of given similarities.

    Args:
        positive: cosine similarities to the key of the same image, shape (N,).
        negatives: cosine similarities to keys of other images, shape (N, K).

    Raises:
        ValueError: shapes do not match, or a similarity is not finite.
    """

    def __init__(self, positive: Tensor, negatives: Tensor) -> None:
        self.positive, self.negatives = checked(positive, negatives)

    @property
    def num_negatives(self) -> int:
        """K."""
        return self.negatives.shape[1]

    def gap(self, temperature: float) -> Tensor:
        """log sum_i e^{s_i/t} - s_0/t of each query, shape (N,)."""
        at = check_temperature(temperature)
        with torch.autocast(self.positive.device.type, enabled=False):
            return torch.logsumexp(self.negatives / at, dim=1) - self.positive / at

    def logits(self, temperature: float) -> Tensor:
        """(s_i - s_0)/t of each negative, shape (N, K)."""
        at = check_temperature(temperature)
        return (self.negatives - self.positive[:, None]) / at


def checked(positive: Tensor, negatives: Tensor) -> tuple[Tensor, Tensor]:
    """Similarities as float32 or wider; ValueError where shapes differ or a value is not finite."""
    if positive.ndim != 1 or negatives.ndim != 2 or len(positive) != len(negatives):
        raise ValueError(
            "positive must have shape (N,) and negatives (N, K), got "
            f"{tuple(positive.shape)} and {tuple(negatives.shape)}"
        )
    if len(positive) == 0 or negatives.shape[1] == 0:
        raise ValueError(f"there is nothing to contrast: negatives {tuple(negatives.shape)}")
    compiling = torch.compiler.is_compiling()  # a branch on numbers has no place in a graph
    if positive.device.type == "cpu" and not compiling:  # a GPU would wait for it at every step
        for name, values in (("positive", positive), ("negatives", negatives)):
            if not torch.isfinite(values).all():
                raise ValueError(f"{name} holds NaN or infinite similarities")
    wide = torch.promote_types(torch.promote_types(positive.dtype, negatives.dtype), torch.float32)
    return positive.to(wide), negatives.to(wide)


def log_one_plus_exp(gap: Tensor) -> Tensor:
    """log(1 + e^v), exact in float64 too, where torch's usual threshold of 20 costs 2e-9."""
    return F.softplus(gap, threshold=40)


def of_similarities(
    losses: Callable[..., Tensor],
    positive: Tensor,
    negatives: Tensor,
    reduction: str,
    temperature: float,
    **settings: float,
) -> Tensor:
    """A loss of explicit similarities, positive (N,) and negatives (N, K)."""
    check_name("reduction", reduction, REDUCTIONS)
    found = losses(Explicit(positive, negatives), temperature=temperature, **settings)
    return REDUCTIONS[reduction](found)
