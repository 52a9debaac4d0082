"""Contrastive losses: identities first, then precision and bad input."""

from __future__ import annotations

import doctest
import importlib
import math
import pkgutil
from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

import eqco
from eqco.contrast import EqCoInfoNCE, InfoNCE, eqco_info_nce, info_nce, similarities

Case = Callable[..., tuple[Tensor, Tensor]]
MODULES = sorted(each.name for each in pkgutil.iter_modules(eqco.__path__))
COUNTS = pytest.mark.parametrize("num_negatives", [1, 4, 16, 255], ids="k{}".format)
ALPHAS = pytest.mark.parametrize("alpha", [0.5, 16.0, 256.0, 65536.0], ids="alpha{:g}".format)


def as_defined(positive: Tensor, negatives: Tensor, temperature: float, alpha: float) -> float:
    """The formula of the docstring, one query at a time, with plain exp and log."""
    total = 0.0
    for one, row in zip(positive.tolist(), negatives.tolist(), strict=True):
        own = math.exp(one / temperature)
        rest = sum(math.exp(each / temperature) for each in row)
        total -= math.log(own / (own + alpha / len(row) * rest))
    return total / len(positive)


@pytest.mark.parametrize("name", [name for name in MODULES if name != "__main__"])
def test_examples_in_docstrings_hold(name: str) -> None:
    result = doctest.testmod(importlib.import_module(f"eqco.{name}"))
    assert result.failed == 0


def test_the_examples_of_contrast_are_found_at_all() -> None:
    assert doctest.testmod(importlib.import_module("eqco.contrast")).attempted >= 5


@COUNTS
@ALPHAS
def test_eqco_is_the_weighted_sum_of_its_definition(
    similarity_case: Case, num_negatives: int, alpha: float
) -> None:
    positive, negatives = similarity_case(num_negatives=num_negatives)
    loss = eqco_info_nce(positive, negatives, temperature=0.2, alpha=alpha)
    expected = as_defined(positive, negatives, 0.2, alpha)
    assert loss.item() == pytest.approx(expected, rel=1e-12)


@ALPHAS
def test_a_margin_on_the_positive_is_the_weight_on_the_negatives(
    similarity_case: Case, alpha: float
) -> None:
    positive, negatives = similarity_case(num_negatives=16)
    shift = eqco.margin(16, temperature=0.2, alpha=alpha)
    with_margin = info_nce(positive - shift, negatives, temperature=0.2)
    with_weight = eqco_info_nce(positive, negatives, temperature=0.2, alpha=alpha)
    torch.testing.assert_close(with_margin, with_weight, rtol=1e-12, atol=0)


@COUNTS
def test_eqco_with_alpha_k_is_info_nce(similarity_case: Case, num_negatives: int) -> None:
    positive, negatives = similarity_case(num_negatives=num_negatives)
    equal = eqco_info_nce(positive, negatives, temperature=0.2, alpha=float(num_negatives))
    torch.testing.assert_close(equal, info_nce(positive, negatives, temperature=0.2))


@pytest.mark.parametrize("times", [2, 16])
def test_repeating_the_negatives_leaves_eqco_unchanged(similarity_case: Case, times: int) -> None:
    positive, negatives = similarity_case()
    once, again = (
        eqco_info_nce(positive, each, temperature=0.2, alpha=256.0)
        for each in (negatives, negatives.repeat(1, times))
    )
    torch.testing.assert_close(once, again, rtol=1e-12, atol=0)


def test_repeating_the_negatives_raises_info_nce(similarity_case: Case) -> None:
    positive, negatives = similarity_case()
    once, twice = (
        info_nce(positive, each, temperature=0.2) for each in (negatives, negatives.repeat(1, 2))
    )
    assert twice > once + 0.1


@COUNTS
@ALPHAS
def test_equal_similarities_cost_log_of_one_plus_alpha_at_every_k(
    num_negatives: int, alpha: float
) -> None:
    positive = torch.full((3,), 0.3, dtype=torch.float64)
    negatives = torch.full((3, num_negatives), 0.3, dtype=torch.float64)
    loss = eqco_info_nce(positive, negatives, temperature=0.2, alpha=alpha)
    assert loss.item() == pytest.approx(math.log1p(alpha), rel=1e-12)


def test_eqco_tends_to_dcl_as_alpha_grows(similarity_case: Case) -> None:
    positive, negatives = similarity_case(num_negatives=16)
    dcl = (torch.logsumexp(negatives / 0.2, dim=1) - positive / 0.2).mean().item()
    gaps = []
    for alpha in (1e4, 1e6, 1e8, 1e10):
        loss = eqco_info_nce(positive, negatives, temperature=0.2, alpha=alpha).item()
        gaps.append(abs(loss - math.log(alpha / 16) - dcl))
    assert gaps == sorted(gaps, reverse=True)
    assert gaps[-1] < 1e-5


def test_the_order_of_the_negatives_does_not_matter(similarity_case: Case) -> None:
    positive, negatives = similarity_case()
    one, other = (
        eqco_info_nce(positive, each, temperature=0.2, alpha=16.0)
        for each in (negatives, negatives.flip(1))
    )
    torch.testing.assert_close(one, other, rtol=1e-12, atol=0)


@pytest.mark.parametrize("alpha", [None, 2.0, 65536.0], ids=["infonce", "alpha2", "alpha65536"])
def test_the_gradient_is_that_of_finite_differences(
    similarity_case: Case, alpha: float | None
) -> None:
    parts = [part.requires_grad_() for part in similarity_case(num_queries=3, num_negatives=4)]
    assert torch.autograd.gradcheck(
        lambda positive, negatives: eqco_info_nce(
            positive, negatives, temperature=0.2, alpha=alpha
        ),
        parts,
    )


@pytest.mark.parametrize("positive", [-1.0, 1.0], ids=["worst", "best"])
@pytest.mark.parametrize("alpha", [None, 1e-6, 65536.0], ids=["infonce", "tiny", "huge"])
def test_float32_stays_finite_at_temperature_0_01(positive: float, alpha: float | None) -> None:
    close = torch.full((4,), positive, requires_grad=True)
    far = torch.full((4, 16), -positive, requires_grad=True)
    loss = eqco_info_nce(close, far, temperature=0.01, alpha=alpha)
    loss.backward()
    assert torch.isfinite(loss)
    assert torch.isfinite(close.grad).all()
    assert torch.isfinite(far.grad).all()
    if positive < 0:  # then the loss is (s_i - s_0) / t + log alpha: 200 and the logarithm
        assert loss.item() == pytest.approx(200 + math.log(alpha or 16), rel=1e-5)


@pytest.mark.parametrize(
    ("given", "returned"),
    [
        (torch.bfloat16, torch.float32),
        (torch.float16, torch.float32),
        (torch.float32, torch.float32),
        (torch.float64, torch.float64),
    ],
    ids=str,
)
def test_the_loss_is_float32_at_least(
    similarity_case: Case, given: torch.dtype, returned: torch.dtype
) -> None:
    positive, negatives = (part.to(given) for part in similarity_case())
    loss = eqco_info_nce(positive, negatives, temperature=0.01, alpha=256.0)
    wide = eqco_info_nce(positive.double(), negatives.double(), temperature=0.01, alpha=256.0)
    assert loss.dtype == returned
    torch.testing.assert_close(loss.double(), wide, rtol=1e-6, atol=0)


def test_autocast_does_not_lower_the_precision_of_the_loss(similarity_case: Case) -> None:
    positive, negatives = (part.float() for part in similarity_case(num_negatives=64))
    outside = eqco_info_nce(positive, negatives, temperature=0.07, alpha=256.0)
    with torch.autocast("cpu", torch.bfloat16):
        inside = eqco_info_nce(positive, negatives, temperature=0.07, alpha=256.0)
    assert inside.dtype == torch.float32
    torch.testing.assert_close(inside, outside, rtol=1e-6, atol=0)


@pytest.mark.parametrize("keys_of_its_own", [False, True], ids=["shared-keys", "own-keys"])
def test_the_module_contrasts_cosines_of_its_embeddings(
    generator: torch.Generator, keys_of_its_own: bool
) -> None:
    query, key = torch.randn(2, 5, 8, generator=generator)
    shape = (5, 9, 8) if keys_of_its_own else (9, 8)
    others = torch.randn(shape, generator=generator)
    positive = F.cosine_similarity(query, key)
    rows = others if keys_of_its_own else others.expand(5, 9, 8)
    negatives = F.cosine_similarity(query[:, None], rows, dim=2)
    for module, alpha in (
        (EqCoInfoNCE(temperature=0.1, alpha=64.0), 64.0),
        (InfoNCE(temperature=0.1), 9.0),
    ):
        expected = as_defined(positive, negatives, 0.1, alpha)
        assert module(3 * query, key, 7 * others).item() == pytest.approx(expected, rel=1e-5)


def test_cosines_are_not_rounded_to_bfloat16_by_autocast(generator: torch.Generator) -> None:
    query, key, others = torch.randn(3, 6, 32, generator=generator)
    outside = similarities(query, key, others)
    with torch.autocast("cpu", torch.bfloat16):
        inside = similarities(query, key, others)
    for one, other in zip(inside, outside, strict=True):
        assert one.dtype == torch.float32
        torch.testing.assert_close(one, other, rtol=0, atol=1e-6)


@pytest.mark.parametrize("name", ["alpha", "temperature"])
@pytest.mark.parametrize("value", [0.0, -1.0, math.nan, math.inf], ids=str)
def test_alpha_and_temperature_must_be_finite_and_above_zero(name: str, value: float) -> None:
    settings = {"temperature": 0.2, "alpha": 16.0, name: value}
    message = rf"{name} must be finite and above 0, got {value}"
    with pytest.raises(ValueError, match=message):
        eqco_info_nce(torch.zeros(2), torch.zeros(2, 3), **settings)
    with pytest.raises(ValueError, match=message):
        EqCoInfoNCE(**settings)


@pytest.mark.parametrize("value", [0.0, -0.2, math.nan], ids=str)
def test_info_nce_refuses_a_bad_temperature(value: float) -> None:
    with pytest.raises(ValueError, match=f"temperature must be finite and above 0, got {value}"):
        info_nce(torch.zeros(2), torch.zeros(2, 3), temperature=value)


@pytest.mark.parametrize(
    ("positive", "negatives"),
    [((3,), (4, 5)), ((3, 1), (3, 5)), ((3,), (3,)), ((), (3, 5)), ((3,), (3, 5, 1))],
    ids=["lengths", "positive-2d", "negatives-1d", "scalar", "negatives-3d"],
)
def test_shapes_that_do_not_match_are_named(positive: tuple, negatives: tuple) -> None:
    with pytest.raises(ValueError, match=r"shape \(N,\) and negatives \(N, K\)") as caught:
        info_nce(torch.zeros(positive), torch.zeros(negatives), temperature=0.2)
    assert f"{positive} and {negatives}" in str(caught.value)


@pytest.mark.parametrize("shape", [(3, 0), (0, 3)], ids=["no-negatives", "no-queries"])
def test_nothing_to_contrast_is_an_error(shape: tuple[int, int]) -> None:
    with pytest.raises(ValueError, match="nothing to contrast"):
        info_nce(torch.zeros(shape[0]), torch.zeros(shape), temperature=0.2)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf], ids=str)
@pytest.mark.parametrize("where", ["positive", "negatives"])
def test_similarities_that_are_not_finite_are_refused(where: str, value: float) -> None:
    parts = {"positive": torch.zeros(3), "negatives": torch.zeros(3, 4)}
    parts[where].view(-1)[1] = value
    with pytest.raises(ValueError, match=f"{where} holds NaN or infinite"):
        info_nce(parts["positive"], parts["negatives"], temperature=0.2)


def test_embeddings_with_nan_are_refused() -> None:
    broken = torch.ones(3, 8)
    broken[1, 2] = math.nan
    with pytest.raises(ValueError, match="NaN"):
        EqCoInfoNCE()(broken, torch.ones(3, 8), torch.ones(4, 8))


@pytest.mark.parametrize(
    ("query", "positive_key", "negative_keys"),
    [
        ((3, 8), (2, 8), (4, 8)),
        ((3, 8), (3, 8), (4, 7)),
        ((3, 8), (3, 8), (2, 4, 8)),
        ((8,), (8,), (4, 8)),
        ((3, 8), (3, 8), (8,)),
    ],
    ids=["positives", "dimension", "own-keys", "query-1d", "keys-1d"],
)
def test_embeddings_whose_shapes_do_not_match_are_named(
    query: tuple, positive_key: tuple, negative_keys: tuple
) -> None:
    shapes = (query, positive_key, negative_keys)
    with pytest.raises(ValueError, match=r"must be \(N, D\)") as caught:
        similarities(*(torch.ones(shape) for shape in shapes))
    assert str(query) in str(caught.value)
    assert str(negative_keys) in str(caught.value)
