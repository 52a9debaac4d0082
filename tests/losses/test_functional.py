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
from eqco.losses.functional import REDUCTIONS, dual_temperature, eqco_info_nce, info_nce
from eqco.losses.modules import EqCoLoss
from eqco.losses.registry import LOSSES
from tests.formulas import as_defined

Case = Callable[..., tuple[Tensor, Tensor]]
MODULES = sorted(each.name for each in pkgutil.walk_packages(eqco.__path__, "eqco."))
COUNTS = pytest.mark.parametrize("num_negatives", [1, 4, 16, 255], ids="k{}".format)
ALPHAS = pytest.mark.parametrize("alpha", [0.5, 16.0, 256.0, 65536.0], ids="alpha{:g}".format)


@pytest.mark.parametrize("name", [name for name in MODULES if name != "eqco.__main__"])
def test_examples_in_docstrings_hold(name: str) -> None:
    result = doctest.testmod(importlib.import_module(name))
    assert result.failed == 0


def test_the_examples_of_contrast_are_found_at_all() -> None:
    """Each loss has an example of its own."""
    modules = map(importlib.import_module, ("eqco.losses.functional", "eqco.losses.bias_corrected"))
    attempted = sum(doctest.testmod(module).attempted for module in modules)
    assert attempted >= len(LOSSES)
    assert doctest.testmod(importlib.import_module("eqco.losses.modules")).attempted >= 2
    assert {"eqco.engine.trainer", "eqco.data.in_memory"} <= set(MODULES)


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


@pytest.mark.parametrize("gap", [-30.0, 15.0, 21.0, 25.0, 35.0, 45.0], ids="gap{:g}".format)
def test_float64_is_exact_at_large_gaps_too(gap: float) -> None:
    """Torch's softplus leaves e^{-v} out from v = 20 on, which is 2e-9 there."""
    positive, negatives = torch.zeros(1).double(), torch.full((1, 1), gap).double()
    for loss in (
        info_nce(positive, negatives, temperature=1.0),
        eqco_info_nce(positive, negatives, temperature=1.0, alpha=1.0),
        dual_temperature(positive, negatives, temperature=1.0, second_temperature=1.0),
    ):
        expected = max(gap, 0.0) + math.log1p(math.exp(-abs(gap)))
        assert loss.item() == pytest.approx(expected, rel=1e-14 if gap > 0 else 1e-8)


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


@pytest.mark.parametrize("name", ["alpha", "temperature"])
@pytest.mark.parametrize("value", [0.0, -1.0, math.nan, math.inf], ids=str)
def test_alpha_and_temperature_must_be_finite_and_above_zero(name: str, value: float) -> None:
    settings = {"temperature": 0.2, "alpha": 16.0, name: value}
    message = rf"{name} must be finite and above 0, got {value}"
    with pytest.raises(ValueError, match=message):
        eqco_info_nce(torch.zeros(2), torch.zeros(2, 3), **settings)
    with pytest.raises(ValueError, match=message):
        EqCoLoss(**settings)


@pytest.mark.parametrize("value", [0.0, -0.2, math.nan], ids=str)
def test_info_nce_raises_an_error_for_an_invalid_temperature(value: float) -> None:
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
def test_similarities_that_are_not_finite_raise_an_error(where: str, value: float) -> None:
    parts = {"positive": torch.zeros(3), "negatives": torch.zeros(3, 4)}
    parts[where].view(-1)[1] = value
    with pytest.raises(ValueError, match=f"{where} holds NaN or infinite"):
        info_nce(parts["positive"], parts["negatives"], temperature=0.2)


def given_arguments(name: str) -> dict[str, float]:
    """Temperature, and the setting of a loss at its usual value."""
    loss = LOSSES[name]
    return {"temperature": 0.2, **({loss.setting: loss.example} if loss.setting else {})}


EVERY_LOSS = pytest.mark.parametrize("name", sorted(LOSSES))


@EVERY_LOSS
def test_mean_and_sum_are_those_of_the_losses_of_the_queries(
    similarity_case: Case, name: str
) -> None:
    case, loss = similarity_case(num_queries=9), LOSSES[name].function
    each, total, mean = (
        loss(*case, **given_arguments(name), reduction=reduction)
        for reduction in ("none", "sum", "mean")
    )
    assert each.shape == (9,)
    assert total.shape == mean.shape == ()
    torch.testing.assert_close(mean, each.mean(), rtol=1e-14, atol=0)
    torch.testing.assert_close(total, each.sum(), rtol=1e-14, atol=0)
    assert torch.equal(loss(*case, **given_arguments(name)), mean)  # the default


@EVERY_LOSS
def test_each_query_has_the_loss_that_it_has_alone(similarity_case: Case, name: str) -> None:
    positive, negatives = similarity_case()
    loss = LOSSES[name].function
    each = loss(positive, negatives, **given_arguments(name), reduction="none")
    for row in range(len(positive)):
        alone = loss(positive[row : row + 1], negatives[row : row + 1], **given_arguments(name))
        torch.testing.assert_close(each[row], alone, rtol=1e-13, atol=0)


@EVERY_LOSS
def test_gradients_of_the_reductions_agree(similarity_case: Case, name: str) -> None:
    case = [part.requires_grad_() for part in similarity_case()]
    loss = LOSSES[name].function
    mean, total, each = (
        torch.autograd.grad(loss(*case, **given_arguments(name), reduction=reduction).sum(), case)
        for reduction in ("mean", "sum", "none")
    )
    for of_mean, of_sum, of_each in zip(mean, total, each, strict=True):
        torch.testing.assert_close(of_mean * len(case[0]), of_sum, rtol=1e-12, atol=1e-15)
        torch.testing.assert_close(of_each, of_sum, rtol=1e-12, atol=1e-15)


@EVERY_LOSS
def test_an_unknown_reduction_is_one_sentence_with_the_nearest_name(name: str) -> None:
    with pytest.raises(ValueError, match=r"^unknown reduction 'meen': did you mean mean.*\?$"):
        LOSSES[name].function(
            torch.zeros(2), torch.zeros(2, 3), **given_arguments(name), reduction="meen"
        )
    assert set(REDUCTIONS) == {"mean", "sum", "none"}


@pytest.mark.parametrize("temperature", [0.01, 0.07, 0.2, 1.0])
def test_info_nce_is_the_cross_entropy_of_the_concatenated_logits_to_the_bit(
    similarity_case: Case, temperature: float
) -> None:
    """What other codes compute: no number of theirs changes with this loss."""
    positive, negatives = (part.float() for part in similarity_case(64, 255))
    logits = torch.cat([positive[:, None], negatives], dim=1) / temperature
    expected = F.cross_entropy(logits, torch.zeros(64, dtype=torch.long))
    assert torch.equal(info_nce(positive, negatives, temperature=temperature), expected)
