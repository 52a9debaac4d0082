"""Bounds on mutual information: where the paper's value is one, and where it is not."""

from __future__ import annotations

import math
from functools import partial

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
from eqco.losses.functional import eqco_info_nce

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

losses = partial(eqco_info_nce, temperature=1.0, reduction="none")


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


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
