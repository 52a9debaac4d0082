"""Mutual information: bounds on I(q; k) from a loss, and pairs whose I is known. Nats.

N queries, K negatives, temperature t, alpha effective negatives. The similarities of the pairs here
are logarithms of critics, to be used with temperature 1.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from eqco.losses.functional import eqco_info_nce, log_one_plus_exp
from eqco.runtime.validation import COUNT, Number, check_negatives, positive_finite


@dataclass(frozen=True)
class Estimate:
    """A mean over samples.

    Attributes:
        value: the estimate.
        error: its standard error.
    """

    value: float
    error: float

    def __str__(self) -> str:
        return f"{self.value:.3f} ± {self.error:.3f}"


def estimate(values: Tensor) -> Estimate:
    """Mean and standard error of independent values, shape (N,).

    Raises:
        ValueError: N < 2, which has no standard error.
    """
    if values.ndim != 1 or len(values) < 2:
        raise ValueError(f"an estimate needs 2 values at least, got shape {tuple(values.shape)}")
    values = values.double()
    return Estimate(values.mean().item(), values.std().item() / math.sqrt(len(values)))


def paper_estimate(loss: float, *, alpha: float) -> float:
    """The paper's reading of mutual information in a loss, nats: log(1 + alpha) - L.

    A lower bound on I(q; k) where alpha <= K, for every critic: it is the NWJ bound with
    g = (1 + alpha) f_0 / (f_0 + (alpha / K) sum_i f_i), which is concave in f_0 / sum f_i for
    alpha <= K, so that E g <= 1 over independent pairs. Above K it may exceed I.

    Args:
        loss: EqCo's L(alpha, K), nats; InfoNCE's with alpha = K.
        alpha: effective number of negatives, > 0.

    Source: EqCo (arXiv 2010.01929); the condition is this project's (paper.md 6.2).
    """
    return math.log1p(positive_finite("alpha", alpha)) - loss


def certified_bound(loss: float, *, alpha: float, num_negatives: int) -> float:
    """The lower bound on I(q; k) that holds for every critic, nats: log(1 + min(alpha, K)) - L.

    For alpha > K, L(alpha, K) >= L(K, K), so InfoNCE's bound log(1 + K) - L(K, K) covers it.
    Nothing above log(1 + K) can be certified.

    Args:
        loss: EqCo's L(alpha, K), nats.
        alpha: effective number of negatives, > 0.
        num_negatives: K >= 1.
    """
    return math.log1p(min(positive_finite("alpha", alpha), check_negatives(num_negatives))) - loss


def log_critic(positive: Tensor, negatives: Tensor, *, temperature: float, alpha: float) -> Tensor:
    """log g of each query, shape (N,), float64: log(1 + alpha) - L, finite at any temperature.

    g = (1 + alpha) f_0 / (f_0 + (alpha / K) sum_i f_i), at most 1 + alpha; g itself underflows to 0
    where 2/t passes 745.
    """
    similarities = positive.double(), negatives.double()
    return math.log1p(alpha) - eqco_info_nce(
        *similarities, temperature=temperature, alpha=alpha, reduction="none"
    )


def nwj_bound(
    positive: Tensor, negatives: Tensor, independent: Tensor, *, temperature: float, alpha: float
) -> Estimate:
    """A lower bound on I(q; k) for every critic, alpha and K: log(1 + alpha) - L + 1 - E g.

    E g is over pairs that are independent too, so it costs one shuffled batch. Unbiased: its mean
    never exceeds I; a single estimate may, by its error.

    Args:
        positive: similarities of the pairs, shape (N,).
        negatives: similarities to independent keys, shape (N, K).
        independent: similarities of each query to one more independent key, shape (N,).
        temperature: > 0.
        alpha: > 0.

    Source: Nguyen, Wainwright and Jordan; with EqCo's critic this project's (paper.md 6.2).
    """
    joint = log_critic(positive, negatives, temperature=temperature, alpha=alpha)
    product = log_critic(independent, negatives, temperature=temperature, alpha=alpha).exp()
    return estimate(joint + 1 - product)


def donsker_varadhan_bound(
    positive: Tensor, negatives: Tensor, independent: Tensor, *, temperature: float, alpha: float
) -> Estimate:
    """A tighter bound: log(1 + alpha) - L - log E g.

    The logarithm of a sample mean lies below the logarithm of the mean by about Var(g) / (2 N), so
    the estimate is too high by that much; it vanishes with N. Arguments as in `nwj_bound`.
    """
    joint = log_critic(positive, negatives, temperature=temperature, alpha=alpha)
    product = log_critic(independent, negatives, temperature=temperature, alpha=alpha)
    log_mean = product.logsumexp(dim=0) - math.log(len(product))  # g itself may underflow
    return Estimate(
        (joint.mean() - log_mean).item(),
        estimate(joint - (product - log_mean).exp()).error,  # the delta method
    )


CORRELATION = Number(0, 1, open_low=True, open_high=True)


@dataclass(frozen=True)
class Gaussians:
    """q and k standard normal in `dim` dimensions, coordinates of a pair correlated.

    Attributes:
        correlation: of each coordinate of q with the same of k, in (0, 1).
        dim: dimensions, >= 1.

    Raises:
        ValueError: one of them is out of its range.
    """

    correlation: float
    dim: int = 1

    def __post_init__(self) -> None:
        CORRELATION.check("correlation", self.correlation)
        COUNT.check("dim", self.dim)

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
            return torch.randn(
                *shape, self.dim, generator=generator, dtype=torch.float64, device="cpu"
            )

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
        query, noise = (torch.from_numpy(grid) for grid in np.meshgrid(x, x, indexing="ij"))
        key = self.correlation * query + math.sqrt(1 - self.correlation**2) * noise
        ratio = self.log_ratio(query[..., None], key[..., None])
        loss = log_one_plus_exp(math.log(positive_finite("alpha", alpha)) - ratio)
        return float((torch.from_numpy(np.outer(weight, weight)) * loss).sum())


@dataclass(frozen=True)
class Symbols:
    """q = k, uniform over `count` symbols.

    Attributes:
        count: symbols, M >= 2.

    Raises:
        ValueError: there are fewer.
    """

    count: int

    def __post_init__(self) -> None:
        Number(2, whole=True).check("count", self.count)

    @property
    def information(self) -> float:
        """I(q; k) = log M."""
        return math.log(self.count)

    def loss(self, *, alpha: float, num_negatives: int) -> float:
        """L(alpha, K) = E log(1 + (alpha / K) B), B ~ Binomial(K, 1 / M): the optimal critic."""
        weight = positive_finite("alpha", alpha) / check_negatives(num_negatives)
        hits = torch.arange(num_negatives + 1, dtype=torch.float64, device="cpu")
        share = torch.tensor(1 / self.count, dtype=torch.float64, device="cpu")
        binomial = torch.distributions.Binomial(num_negatives, share)
        chance = binomial.log_prob(hits).exp()  # type: ignore[no-untyped-call]
        return float(chance @ (weight * hits).log1p())

    def limit_loss(self, *, alpha: float) -> float:
        """L(alpha, infinity) = log(1 + alpha / M)."""
        return math.log1p(positive_finite("alpha", alpha) / self.count)
