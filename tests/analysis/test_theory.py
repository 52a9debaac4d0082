"""Bounds on the gradient and on the loss gap against what is measured on random keys."""

from __future__ import annotations

import math
from functools import partial
from pathlib import Path

import pytest
import torch
from torch import Tensor

from eqco.analysis.mutual_information import estimate
from eqco.analysis.theory import (
    gradient_noise_bound,
    gradient_norm_bound,
    leading_gap,
    mean_field_gap,
    negative_weight,
    squared_cv,
    uniform_squared_cv,
)
from eqco.losses.functional import eqco_info_nce

losses = partial(eqco_info_nce, temperature=1.0, reduction="none")


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def sphere(count: int, keys: int, dim: int = 128) -> tuple[Tensor, Tensor, Tensor]:
    """Random unit queries, positive keys and other keys; float64."""
    draw = generator(3)
    parts = (torch.randn(n, dim, generator=draw, dtype=torch.float64) for n in (count, count, keys))
    query, positive, other = (torch.nn.functional.normalize(part, dim=1) for part in parts)
    return query, positive, other


def gradient(query: Tensor, positive: Tensor, keys: Tensor, alpha: float) -> Tensor:
    """dL/dq of each query at temperature 0.2; keys (K, D) shared or (N, K, D)."""
    query = query.clone().requires_grad_(True)
    own = "nd,kd->nk" if keys.ndim == 2 else "nd,nkd->nk"
    loss = eqco_info_nce(
        (query * positive).sum(dim=1), torch.einsum(own, query, keys), temperature=0.2, alpha=alpha
    )
    (loss * len(query)).backward()
    return query.grad


def test_gradients_keep_their_mean_and_not_their_noise() -> None:
    """Dimension 128, temperature .2, alpha 256: noise falls as 1 / sqrt(K) and the mean stays."""
    query, positive, keys = sphere(256, 8192)
    limit = gradient(query, positive, keys, 256.0)
    similarity = query @ keys.T
    rho = negative_weight(
        (query * positive).sum(dim=1), similarity, temperature=0.2, effective_negatives=256.0
    )
    spread = squared_cv(similarity, temperature=0.2).mean().item()
    assert limit.norm(dim=1).mean() <= gradient_norm_bound(rho.mean().item(), temperature=0.2)
    norms, noises = [], []
    for k in (4, 16, 64, 256):
        own = torch.randint(8192, (256, k), generator=generator(k))
        found = gradient(query, positive, keys[own], 256.0)
        norms.append(found.norm(dim=1).mean().item())
        noises.append((found - limit).norm(dim=1).mean().item())
        bound = gradient_noise_bound(rho.mean().item(), spread, num_negatives=k, temperature=0.2)
        assert noises[-1] <= bound
    assert max(norms) / min(norms) < 1.3
    assert noises[0] > 5 * noises[-1]
    slope = math.log(noises[1] / noises[-1]) / math.log(256 / 16)
    assert slope == pytest.approx(0.5, abs=0.1)  # noise falls as 1 / sqrt(K)


def test_the_mean_field_gap_covers_the_measured_gap() -> None:
    query, positive, keys = sphere(2048, 4096)
    similarity = query @ keys.T
    pair = (query * positive).sum(dim=1)
    spread = squared_cv(similarity, temperature=0.2).mean().item()
    limit = losses(pair / 0.2, similarity / 0.2, alpha=256.0)
    for k in (16, 64, 256):
        own = torch.randint(4096, (2048, k), generator=generator(k))
        gap = estimate(limit - losses(pair / 0.2, similarity.gather(1, own) / 0.2, alpha=256.0))
        assert -4 * gap.error < gap.value
        assert gap.value < mean_field_gap(spread, num_negatives=k) + 4 * gap.error


@pytest.mark.parametrize(("dim", "t", "cv2"), [(128, 0.2, 0.214), (512, 0.05, 1.17)])
def test_uniform_keys_have_the_cv2_of_the_formula(dim: int, t: float, cv2: float) -> None:
    query, _, keys = sphere(64, 16384, dim)
    measured = squared_cv(query @ keys.T, temperature=t).mean().item()
    assert measured == pytest.approx(cv2, rel=0.02)
    assert uniform_squared_cv(dim, temperature=t) == pytest.approx(measured, rel=0.02)


def exact_uniform_squared_cv(dim: int, t: float) -> float:
    """By quadrature over the angle of query and key, whose density is sin^{d - 2}."""
    angle = torch.linspace(0, math.pi, 20001, dtype=torch.float64)[1:-1]
    density = (dim - 2) * angle.sin().log()
    first, second = ((i / t * angle.cos() + density).logsumexp(0) for i in (1, 2))
    return math.expm1(second - 2 * first + density.logsumexp(0))


@pytest.mark.parametrize("dim", [64, 128, 512, 2048])
def test_the_formula_for_uniform_keys_is_within_10_percent_where_it_is_given(dim: int) -> None:
    least = 2.65 / dim**0.75
    for t in (1.0001 * least, 2 * least, 10 * least):
        found, exact = uniform_squared_cv(dim, temperature=t), exact_uniform_squared_cv(dim, t)
        assert exact < found < 1.1 * exact
    assert uniform_squared_cv(dim, temperature=0.9999 * least) is None
    assert math.expm1(1 / (dim * (0.9 * least) ** 2)) > 1.1 * exact_uniform_squared_cv(
        dim, 0.9 * least
    )


@pytest.mark.parametrize("dim", [64, 128, 256, 512, 2048])
def test_the_page_has_the_cv2_of_uniform_keys_and_its_k(dim: int) -> None:
    page = Path(__file__).resolve().parents[2] / "docs" / "choosing_k.md"
    found = [uniform_squared_cv(dim, temperature=t) for t in (0.2, 0.1, 0.07, 0.05)]
    cells = ["—" if cv2 is None else f"{cv2:.2f}, K = {math.ceil(cv2 / 0.1)}" for cv2 in found]
    assert f"| {dim} | {' | '.join(cells)} |" in page.read_text(encoding="utf-8")


def test_the_leading_gap_is_below_the_mean_field_gap() -> None:
    weight, spread = torch.tensor([0.5, 1.0]).double(), torch.tensor([2.0, 4.0]).double()
    assert leading_gap(weight, spread, num_negatives=8) == pytest.approx((0.5 + 4) / 2 / 16)
    assert leading_gap(weight, spread, num_negatives=8) < mean_field_gap(3.0, num_negatives=8)
