"""Pairs whose mutual information is known, to hold losses and bounds to. K negatives, nats.

Similarities here are logarithms of critics, to be used with temperature 1.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from scipy import stats
from torch import Tensor


@dataclass(frozen=True)
class Gaussians:
    """q and k standard normal in `dim` dimensions, coordinates of a pair correlated.

    Attributes:
        correlation: of each coordinate of q with the same of k, in (0, 1).
        dim: dimensions.
    """

    correlation: float
    dim: int = 1

    @property
    def information(self) -> float:
        """I(q; k) = -(dim / 2) log(1 - correlation^2)."""
        return -0.5 * self.dim * math.log1p(-(self.correlation**2))

    def log_ratio(self, query: Tensor, key: Tensor) -> Tensor:
        """log p(k | q) / p(k), the optimal critic, for (..., dim) and (..., dim)."""
        c2 = self.correlation**2
        energy = c2 * (query**2 + key**2) - 2 * self.correlation * query * key
        return self.information - energy.sum(dim=-1) / (2 * (1 - c2))

    def draw(
        self, count: int, num_negatives: int, generator: torch.Generator
    ) -> tuple[Tensor, Tensor, Tensor]:
        """log_ratio of pairs (N,), of K independent keys (N, K), of one more (N,); float64."""

        def normal(*shape: int) -> Tensor:
            return torch.randn(*shape, self.dim, generator=generator, dtype=torch.float64)

        query = normal(count)
        noise = math.sqrt(1 - self.correlation**2)
        key = self.correlation * query + noise * normal(count)
        negatives = self.log_ratio(query[:, None], normal(count, num_negatives))
        return self.log_ratio(query, key), negatives, self.log_ratio(query, normal(count))

    def limit_loss(self, *, alpha: float, nodes: int = 200) -> float:
        """L(alpha, infinity) = E log(1 + alpha / r) with the optimal critic r, one dimension.

        Gauss-Hermite quadrature over q and the noise of k.

        Raises:
            ValueError: more than one dimension.
        """
        if self.dim != 1:
            raise ValueError(f"the quadrature is for one dimension, this has {self.dim}")
        x, weight = np.polynomial.hermite_e.hermegauss(nodes)
        weight = weight / weight.sum()
        query, noise = (torch.from_numpy(each) for each in np.meshgrid(x, x, indexing="ij"))
        key = self.correlation * query + math.sqrt(1 - self.correlation**2) * noise
        ratio = self.log_ratio(query[..., None], key[..., None])
        loss = torch.nn.functional.softplus(math.log(alpha) - ratio)
        return float((torch.from_numpy(np.outer(weight, weight)) * loss).sum())


@dataclass(frozen=True)
class Symbols:
    """q = k, uniform over `count` symbols.

    Attributes:
        count: symbols, M >= 2.
    """

    count: int

    @property
    def information(self) -> float:
        """I(q; k) = log M."""
        return math.log(self.count)

    def loss(self, *, alpha: float, num_negatives: int) -> float:
        """L(alpha, K) = E log(1 + (alpha / K) B), B ~ Binomial(K, 1 / M): the optimal critic."""
        hits = np.arange(num_negatives + 1)
        chance = stats.binom.pmf(hits, num_negatives, 1 / self.count)
        return float(chance @ np.log1p(alpha / num_negatives * hits))

    def limit_loss(self, *, alpha: float) -> float:
        """L(alpha, infinity) = log(1 + alpha / M)."""
        return math.log1p(alpha / self.count)
