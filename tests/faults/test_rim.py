"""Kind 12: losses, bounds and diagnosis at the rim of their ranges, against 50 digits.

Temperatures from 1e-4 to 1e6, alpha from 1e-6 to 1e12, one negative, two queries, both precisions.
N queries, K negatives, temperature t.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import asdict, replace
from decimal import Context, Decimal, localcontext
from typing import Any

import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from torch import Tensor

from eqco.analysis import mutual_information, theory
from eqco.analysis.diagnosis import diagnose, report
from eqco.losses import blockwise
from eqco.losses.functional import eqco_info_nce
from eqco.losses.registry import LOSSES
from eqco.losses.similarity import Similarities

DIGITS = Context(prec=50, Emin=-(10**12), Emax=10**12)
QUICK = settings(max_examples=40, deadline=None, database=None)
EXAMPLES = [(t, a) for t in (1e-4, 2.5e-3, 0.2, 1e6) for a in (1e-6, 256.0, 1e12)]


def powers(low: float, high: float) -> st.SearchStrategy[float]:
    """10^x for x in a range."""
    return st.floats(low, high).map(lambda x: 10.0**x)


TEMPERATURES, ALPHAS = powers(-4, 6), powers(-6, 12)
COUNTS = st.sampled_from([1, 2, 3, 16])
TYPES = st.sampled_from([torch.float32, torch.float64])


def case(seed: int, count: int, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """Similarities of two queries, positive (2,) and negatives (2, K): random, or at their ends."""
    generator = torch.Generator().manual_seed(seed)
    both = 2 * torch.rand(2, 1 + count, generator=generator, dtype=dtype) - 1
    if seed % 4 == 0:
        both = both.sign()  # the largest distances that there are
    return both[:, 0].clone(), both[:, 1:].clone()


def weights(own: float, others: list[float], temperature: float) -> list[Decimal]:
    """e^{(s_i - s_0)/t} of the negatives."""
    t = Decimal(temperature)
    return [((Decimal(each) - Decimal(own)) / t).exp() for each in others]


def log1p(x: Decimal) -> Decimal:
    """log(1 + x), by its series where 1 + x would lose the digits of x."""
    return (1 + x).ln() if abs(x) > Decimal("1e-16") else x - x**2 / 2 + x**3 / 3


def eqco(w: list[Decimal], alpha: Decimal) -> Decimal:
    """log(1 + alpha m)."""
    return log1p(alpha * sum(w) / len(w))


def jackknife(w: list[Decimal], loss: Callable[[list[Decimal]], Decimal]) -> Decimal:
    """K L - (K - 1) mean_i L without i."""
    k = len(w)
    return k * loss(w) - (k - 1) * sum(loss(w[:i] + w[i + 1 :]) for i in range(k)) / k


def second_order(w: list[Decimal], alpha: Decimal) -> Decimal:
    """L + rho^2 cv^2 / (2 K)."""
    k, total = len(w), sum(w)
    rho = alpha * total / k / (1 + alpha * total / k)
    cv2 = sum((k * each / total - 1) ** 2 for each in w) / (k - 1)
    return eqco(w, alpha) + rho**2 * cv2 / (2 * k)


def dual(w: list[Decimal], second: list[Decimal]) -> Decimal:
    """InfoNCE times the quotient of the shares of the negatives at both temperatures."""
    share, other = sum(w) / (1 + sum(w)), sum(second) / (1 + sum(second))
    return other / share * log1p(sum(w, Decimal(0)))


def expected(
    name: str, own: float, others: list[float], temperature: float, given_settings: dict[str, float]
) -> Decimal:
    """A loss of one query, as its docstring defines it."""
    w, k = weights(own, others, temperature), len(others)
    alpha = Decimal(given_settings.get("alpha", 0.0))
    if name == "hard_infonce":
        b = Decimal(given_settings["hardness"])
        u = [(b * Decimal(each) / Decimal(temperature)).exp() for each in others]
        return log1p(k * sum(x * y for x, y in zip(w, u, strict=True)) / sum(u))
    if name == "dual_temperature":
        return dual(w, weights(own, others, given_settings["second_temperature"]))
    formulas: dict[str, Callable[[], Decimal]] = {
        "infonce": lambda: eqco(w, Decimal(k)),
        "eqco": lambda: eqco(w, alpha),
        "dcl": lambda: sum(w, Decimal(0)).ln(),
        "sogclr": lambda: sum(w, Decimal(0)).ln(),
        "flat_nce": lambda: Decimal(1),
        "flat_nce_jackknife": lambda: Decimal(1),
        "eqco_jackknife": lambda: jackknife(w, lambda some: eqco(some, alpha)),
        "eqco_second_order": lambda: second_order(w, alpha),
        "dcl_jackknife": lambda: (
            Decimal(k).ln() + jackknife(w, lambda some: (sum(some, Decimal(0)) / len(some)).ln())
        ),
    }
    return formulas[name]()


def all_expected(
    name: str, pair: tuple[Tensor, Tensor], temperature: float, **given_settings: float
) -> Tensor:
    """`expected` of each query, float64."""
    with localcontext(DIGITS):
        rows = zip(pair[0].tolist(), pair[1].tolist(), strict=True)
        values = [float(expected(name, *row, temperature, given_settings)) for row in rows]
    return torch.tensor(values, dtype=torch.float64)


def assert_near(ours: Tensor, right: Tensor, dtype: torch.dtype, size: float) -> None:
    """Equal up to some roundings of numbers of this size."""
    assert torch.isfinite(ours).all()
    allowed = 16 * torch.finfo(dtype).eps * (1 + size + right.abs())
    assert ((ours.double() - right).abs() <= allowed).all(), (ours, right)


@pytest.mark.parametrize("name", LOSSES)
@QUICK
@given(
    seed=st.integers(0, 99),
    count=COUNTS,
    dtype=TYPES,
    t=TEMPERATURES,
    own=st.fixed_dictionaries(
        {
            "alpha": ALPHAS,
            "second_temperature": TEMPERATURES,
            "hardness": st.just(0.0) | powers(-40, 2),
            "sog_gamma": st.floats(0.01, 1),
        }
    ),
)
def test_losses_and_gradients_are_right_at_the_rim(
    name: str, seed: int, count: int, dtype: torch.dtype, t: float, own: dict[str, float]
) -> None:
    loss, count = LOSSES[name], max(count, LOSSES[name].fewest)
    chosen = {loss.setting: own[loss.setting]} if loss.setting else {}
    pair = case(seed, count, dtype)
    ours = loss.function(*pair, temperature=t, reduction="none", **chosen)
    size = 2 / t * (1 + 2 * chosen.get("hardness", 0)) + 2 / chosen.get("second_temperature", 1)
    size *= count if loss.corrects else 1  # the jackknife multiplies by K - 1
    assert ours.dtype == dtype
    assert_near(ours, all_expected(name, pair, t, **chosen), dtype, size)
    inputs = [each.requires_grad_() for each in pair]
    loss.function(*inputs, temperature=t, reduction="sum", **chosen).backward()
    assert all(torch.isfinite(each.grad).all() for each in inputs)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize("alpha", [1e-6, 1e12])
def test_eqco_is_right_at_a_very_high_temperature(dtype: torch.dtype, alpha: float) -> None:
    """t log(alpha / K) added to similarities before the division costs 3e-4 here, in float32."""
    pair = case(1, 16, dtype)
    ours = eqco_info_nce(*pair, temperature=1e6, alpha=alpha, reduction="none").double()
    right = all_expected("eqco", pair, 1e6, alpha=alpha)
    assert ((ours / right - 1).abs() < 32 * torch.finfo(dtype).eps).all()


@QUICK
@given(st.integers(0, 99), TEMPERATURES, ALPHAS, st.booleans(), TYPES)
def test_blocks_and_matrices_are_right_at_the_rim(
    seed: int, t: float, alpha: float, drawn: bool, dtype: torch.dtype
) -> None:
    generator = torch.Generator().manual_seed(seed)
    keys = torch.nn.functional.normalize(torch.randn(9, 4, generator=generator, dtype=dtype), dim=1)
    query, positive = keys[:2].clone().requires_grad_(), keys[2:4] if seed % 3 else -keys[:2]
    columns = torch.stack([torch.randperm(9, generator=generator)[:3] for _ in range(2)])
    excluded = torch.arange(2)[:, None]
    which = {"columns": columns} if drawn else {"excluded": excluded}
    ours = []
    for small, few in ((10**9, 10**9), (0, 0)):  # a matrix; blocks
        with pytest.MonkeyPatch.context() as patch:
            sizes = replace(blockwise.ON_CPU, few=few, small=small, most_columns=4)
            patch.setattr(blockwise, "ON_CPU", sizes)
            sims = Similarities(query, positive, keys, **which)
            ours.append(LOSSES["eqco"].losses(sims, temperature=t, alpha=alpha))
    pair = (sims.positive, sims.negatives())
    right = all_expected("eqco", pair, t, alpha=alpha)
    for each in ours:
        assert_near(each, right, dtype, 4 / t)
        (gradient,) = torch.autograd.grad(each.sum(), query)
        assert torch.isfinite(gradient).all()


def with_examples(test: Callable[..., None]) -> Callable[..., None]:
    """The corners of temperature and alpha, besides what is drawn."""
    for seed in (0, 1):
        for t, alpha in EXAMPLES:
            test = example(seed, t, alpha)(test)
    return QUICK(given(st.integers(0, 99), TEMPERATURES, ALPHAS)(test))


@with_examples
def test_bounds_are_finite_and_right_at_the_rim(seed: int, t: float, alpha: float) -> None:
    positive, negatives = case(seed, 8, torch.float32)
    independent, _ = case(seed + 1, 8, torch.float32)
    loss = all_expected("eqco", (positive, negatives), t, alpha=alpha)
    other = all_expected("eqco", (independent, negatives), t, alpha=alpha)
    joint = math.log1p(alpha) - loss
    logs = math.log1p(alpha) - other
    nwj = mutual_information.nwj_bound(positive, negatives, independent, temperature=t, alpha=alpha)
    dv = mutual_information.donsker_varadhan_bound(
        positive, negatives, independent, temperature=t, alpha=alpha
    )
    size = 1 + 2 / t + alpha
    assert nwj.value == pytest.approx((joint + 1 - logs.exp()).mean().item(), abs=1e-14 * size)
    mean = logs.logsumexp(0) - math.log(2)
    assert dv.value == pytest.approx((joint.mean() - mean).item(), abs=1e-14 * size)
    assert math.isfinite(nwj.error)
    assert math.isfinite(dv.error)


@with_examples
@example(51, 1e-3, 1.0)  # a share of 4e-90
def test_closed_forms_are_finite_and_right_at_the_rim(seed: int, t: float, alpha: float) -> None:
    positive, negatives = case(seed, 16, torch.float32)
    with localcontext(DIGITS):
        rows = zip(positive.tolist(), negatives.tolist(), strict=True)
        all_weights = [weights(*row, t) for row in rows]
        means = [sum(w) / 16 for w in all_weights]
        rho = [x / (1 + x) for x in (Decimal(alpha) * mean for mean in means)]
        cv2 = [
            sum((each / mean - 1) ** 2 for each in w) / 15
            for w, mean in zip(all_weights, means, strict=True)
        ]
    spread = theory.squared_cv(negatives, temperature=t)
    right = [float(each) for each in cv2]
    assert spread.tolist() == pytest.approx(right, rel=1e-8, abs=1e-20)
    share = theory.negative_weight(positive, negatives, temperature=t, effective_negatives=alpha)
    assert share.tolist() == pytest.approx(list(map(float, rho)), rel=1e-9, abs=1e-300)
    assert 0 <= theory.leading_gap(share, spread, num_negatives=1) <= 8
    chances = torch.full((16,), 1 / 16, dtype=torch.float64)
    limit = [
        theory.limit_loss(own, some, chances, temperature=t, alpha=alpha)
        for own, some in zip(positive.double(), negatives.double(), strict=True)
    ]
    right_limit = all_expected("eqco", (positive, negatives), t, alpha=alpha)
    assert_near(torch.stack(limit), right_limit, torch.float64, 2 / t)


@with_examples
def test_a_diagnosis_is_finite_at_the_rim(seed: int, t: float, alpha: float) -> None:
    dtype = (torch.float32, torch.float64)[seed % 2]
    diagnosis = diagnose(
        *case(seed, 16, dtype), temperature=t, alpha=alpha, counts=(1, 2, 15), dimension=8
    )
    numbers: list[Any] = [asdict(diagnosis)]
    while numbers:
        value = numbers.pop()
        if isinstance(value, dict | list | tuple):
            numbers += value.values() if isinstance(value, dict) else value
        elif value is not None:
            assert math.isfinite(value)
    text = report(diagnosis, alpha=alpha)
    assert "nan" not in text
    assert "inf" not in text
