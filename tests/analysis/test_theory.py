"""Bounds on the gradient, the loss gap and mutual information against what is measured."""

from __future__ import annotations

import math
from functools import partial
from pathlib import Path

import pytest
import torch
from torch import Tensor

from eqco.analysis.mutual_information import (
    Gaussians,
    Symbols,
    certified_bound,
    donsker_varadhan_bound,
    estimate,
    nwj_bound,
    paper_estimate,
)
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


# Bounds on mutual information: where the paper's value is one, and where it is not.


# paper.md 6.2: log(1 + alpha) - L for the true ratio as critic, 20,000 samples, by (alpha, K).
PAIRS = [(16, 16), (256, 16), (65536, 16), (256, 64), (65536, 64), (16, 256), (256, 256),
         (65536, 256)]  # fmt: skip
PUBLISHED = {  # by correlation
    0.9: [0.747, 0.914, 0.945, 0.836, 0.846, 0.716, 0.824, 0.833],
    0.99: [1.659, 2.270, 2.631, 1.987, 2.094, 1.561, 1.951, 1.997],
    0.999: [2.326, 3.733, 5.472, 3.177, 3.604, 2.209, 3.030, 3.200],
}
CASES = [
    pytest.param(correlation, alpha, k, value, id=f"corr{correlation}-alpha{alpha}-k{k}")
    for correlation, values in PUBLISHED.items()
    for (alpha, k), value in zip(PAIRS, values, strict=True)
]


@pytest.mark.parametrize(("correlation", "alpha", "k", "value"), CASES)
def test_the_table_of_estimates_is_reproduced(
    correlation: float, alpha: int, k: int, value: float
) -> None:
    """Both sides have 20,000 samples: four standard errors of their difference, plus rounding."""
    positive, negatives, _ = Gaussians(correlation).draw(20_000, k, generator())
    each = estimate(losses(positive, negatives, alpha=alpha))
    ours = paper_estimate(each.value, alpha=alpha)
    assert abs(ours - value) < 4 * math.sqrt(2) * each.error + 0.0005


def test_corrections_reproduce_their_published_values() -> None:
    """I .83, alpha 256, K 16: E g 1.35, so NWJ certifies .57, DV .62, log(1 + K) - L only -1.80."""
    positive, negatives, other = Gaussians(0.9).draw(100_000, 16, generator())
    settings = {"temperature": 1.0, "alpha": 256.0}
    nwj = nwj_bound(positive, negatives, other, **settings)
    varadhan = donsker_varadhan_bound(positive, negatives, other, **settings)
    loss = losses(positive, negatives, alpha=256.0).mean().item()
    assert nwj.value == pytest.approx(0.57, abs=4 * nwj.error + 0.005)
    assert varadhan.value == pytest.approx(0.62, abs=4 * varadhan.error + 0.005)
    assert certified_bound(loss, alpha=256, num_negatives=16) == pytest.approx(-1.80, abs=0.03)


def random_critic(seed: int) -> tuple[Gaussians, str, Tensor, Tensor, Tensor, int, float]:
    """A bed, a critic of one of four kinds, its log values, K and alpha, all drawn by the seed."""
    draw = generator(1000 + seed)
    u = torch.rand(6, generator=draw, dtype=torch.float64)
    bed = Gaussians(float(0.3 + 0.69 * u[0]), dim=1 + int(3 * u[1]))
    k = int(2 ** (6 * u[2]).item())
    alpha = float(2 ** (-2 + 14 * u[3]))
    parts = bed.draw(4000, k, draw)
    kind = ("true", "scaled", "shifted", "wrong")[seed % 4]
    if kind == "scaled":
        parts = tuple(part * (0.2 + 2.0 * float(u[4])) for part in parts)
    elif kind == "shifted":
        parts = tuple(part + 3.0 * float(u[4] - 0.5) for part in parts)
    elif kind == "wrong":
        parts = tuple(part.abs() * float(u[4] - 0.5) for part in parts)
    return bed, kind, *parts, k, alpha  # type: ignore[return-value]


def test_certified_bounds_hold_for_every_critic_and_the_papers_value_does_not() -> None:
    """240 critics. Five standard errors each: by chance one in 10,000 of such tests would fail."""
    too_high = 0
    for seed in range(240):
        bed, kind, positive, negatives, other, k, alpha = random_critic(seed)
        each = estimate(losses(positive, negatives, alpha=alpha))
        truth, case = bed.information, f"{kind} {bed} K={k} alpha={alpha:.1f}"
        certified = certified_bound(each.value, alpha=alpha, num_negatives=k)
        assert certified <= truth + 5 * each.error, case
        nwj = nwj_bound(positive, negatives, other, temperature=1.0, alpha=alpha)
        assert nwj.value <= truth + 5 * nwj.error, case
        paper = paper_estimate(each.value, alpha=alpha)
        if paper > truth + 5 * each.error:
            assert alpha > k, f"the paper's value exceeds I though alpha <= K: {case}"
            too_high += 1
    assert too_high >= 20, f"only {too_high} of 240 estimates exceed I"


@pytest.mark.parametrize("k", [1, 4, 64])
@pytest.mark.parametrize("alpha", [0.5, 16.0, 65536.0])
def test_symbols_agree_with_simulation(alpha: float, k: int) -> None:
    bed = Symbols(3)
    draw = generator(1)
    query = torch.randint(3, (20_000, 1), generator=draw)
    hit = torch.randint(3, (20_000, k), generator=draw) == query
    each = estimate(torch.log1p(alpha / k * hit.sum(dim=1).double()))
    assert bed.loss(alpha=alpha, num_negatives=k) == pytest.approx(
        each.value, abs=5 * each.error + 1e-12
    )


def test_two_symbols_and_one_negative_show_that_the_papers_value_exceeds_the_information() -> None:
    """alpha 65536: the paper's value reads 5.5 nats where there are log 2."""
    loss = Symbols(2).loss(alpha=65536, num_negatives=1)
    assert paper_estimate(loss, alpha=65536) == pytest.approx(5.5, abs=0.05)
    assert certified_bound(loss, alpha=65536, num_negatives=1) < Symbols(2).information


def test_symbols_tend_to_their_limit_and_rise_to_it() -> None:
    bed = Symbols(10)
    values = [bed.loss(alpha=100.0, num_negatives=k) for k in (1, 4, 16, 256, 65536)]
    assert values == sorted(values)
    assert values[-1] == pytest.approx(bed.limit_loss(alpha=100.0), abs=1e-3)


@pytest.mark.parametrize("alpha", [1.0, 256.0, 65536.0])
def test_quadrature_is_the_limit_of_the_loss(alpha: float) -> None:
    """The mean of the true ratio over keys is 1, so f_i may be replaced by it."""
    bed = Gaussians(0.9)
    positive, _, _ = bed.draw(200_000, 1, generator())
    each = estimate(torch.nn.functional.softplus(math.log(alpha) - positive))
    assert bed.limit_loss(alpha=alpha) == pytest.approx(each.value, abs=4 * each.error)
    large = bed.draw(4000, 4096, generator())
    finite = estimate(losses(*large[:2], alpha=alpha))
    gap = bed.limit_loss(alpha=alpha) - finite.value
    assert -4 * finite.error < gap < 4 * finite.error + 0.01


def test_information_of_gaussians_is_the_mean_log_ratio() -> None:
    for bed in (Gaussians(0.9), Gaussians(0.5, dim=4)):
        positive, _, _ = bed.draw(100_000, 1, generator())
        each = estimate(positive)
        assert bed.information == pytest.approx(each.value, abs=4 * each.error)
