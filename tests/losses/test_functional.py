"""Losses of similarities: by relation first, then precision and bad input."""

from __future__ import annotations

import doctest
import importlib
import inspect
import math
import pkgutil
from collections.abc import Callable
from functools import partial

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

import eqco
from eqco.losses.functional import (
    dcl,
    dual_temperature,
    eqco_info_nce,
    hard_info_nce,
    info_nce,
)
from eqco.losses.modules import EqCoLoss
from eqco.losses.registry import LOSSES
from tests.formulas import DEFINITIONS, as_defined

Case = Callable[..., tuple[Tensor, Tensor]]
MODULES = sorted(each.name for each in pkgutil.walk_packages(eqco.__path__, "eqco."))
COUNTS = pytest.mark.parametrize("num_negatives", [1, 4, 255], ids="k{}".format)
ALPHAS = pytest.mark.parametrize("alpha", [0.5, 256.0, 65536.0], ids="alpha{:g}".format)
EVERY_LOSS = pytest.mark.parametrize("name", sorted(LOSSES))


def usual(name: str, temperature: float = 0.2) -> Callable[..., Tensor]:
    """A loss with a temperature and its setting at its usual value."""
    loss = LOSSES[name]
    settings = {loss.setting: loss.example} if loss.setting else {}
    return partial(loss.function, temperature=temperature, **settings)


def gradients(loss: Callable[..., Tensor], case: tuple[Tensor, Tensor]) -> tuple[Tensor, ...]:
    """Derivatives of the sum of a loss by positive and negatives."""
    inputs = [each.detach().clone().requires_grad_() for each in case]
    return torch.autograd.grad(loss(*inputs).sum(), inputs)


@pytest.mark.parametrize("name", [name for name in MODULES if name != "eqco.__main__"])
def test_examples_in_docstrings_hold(name: str) -> None:
    result = doctest.testmod(importlib.import_module(name))
    assert result.failed == 0


def test_each_loss_has_an_example_and_shows_its_arguments() -> None:
    modules = map(importlib.import_module, ("eqco.losses.functional", "eqco.losses.bias_corrected"))
    assert sum(doctest.testmod(module).attempted for module in modules) >= len(LOSSES)
    for loss in LOSSES.values():
        signature = inspect.signature(loss.function)
        names = {"positive", "negatives", "temperature", "reduction", loss.setting} - {""}
        assert names <= set(signature.parameters)
        for name in names:
            assert f"\n    {name}: " in (loss.function.__doc__ or "")


@EVERY_LOSS
def test_a_loss_is_its_definition(name: str, similarity_case: Case) -> None:
    """Value and gradient, one query at a time too, in every reduction."""
    for count in (2, 3, 40):
        case, loss = similarity_case(num_queries=9, num_negatives=count), usual(name, 0.3)
        setting = [LOSSES[name].example] if LOSSES[name].setting else []
        each = partial(loss, reduction="none")
        expected = DEFINITIONS[name](*case, 0.3, *setting)
        torch.testing.assert_close(each(*case), expected, rtol=1e-11, atol=1e-11)
        inputs = [part.clone().requires_grad_() for part in case]
        right = torch.autograd.grad(DEFINITIONS[name](*inputs, 0.3, *setting).sum(), inputs)
        for one, other in zip(gradients(each, case), right, strict=True):
            torch.testing.assert_close(one, other, rtol=1e-9, atol=1e-10)
        for reduction, reduce in {"mean": torch.mean, "sum": torch.sum}.items():
            torch.testing.assert_close(loss(*case, reduction=reduction), reduce(expected))
        alone = [each(case[0][row : row + 1], case[1][row : row + 1]) for row in range(9)]
        torch.testing.assert_close(torch.cat(alone), expected, rtol=1e-11, atol=1e-11)


def test_eqco_is_its_definition_in_plain_python(similarity_case: Case) -> None:
    """What the definitions of the tests are held against."""
    for alpha in (0.5, 256.0):
        case = similarity_case(num_negatives=16)
        loss = eqco_info_nce(*case, temperature=0.2, alpha=alpha)
        assert loss.item() == pytest.approx(as_defined(*case, 0.2, alpha), rel=1e-12)


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
@pytest.mark.parametrize("alpha_is_k", [True, False])
def test_eqco_with_alpha_k_is_info_nce(
    similarity_case: Case, num_negatives: int, alpha_is_k: bool
) -> None:
    case = similarity_case(num_negatives=num_negatives)
    alpha = float(num_negatives) if alpha_is_k else None
    equal = eqco_info_nce(*case, temperature=0.2, alpha=alpha)
    torch.testing.assert_close(equal, info_nce(*case, temperature=0.2))


def test_repeating_the_negatives_raises_info_nce_and_leaves_eqco(similarity_case: Case) -> None:
    positive, negatives = similarity_case()
    both = (negatives, negatives.repeat(1, 16).flip(1))
    once, again = (eqco_info_nce(positive, n, temperature=0.2, alpha=256.0) for n in both)
    torch.testing.assert_close(once, again, rtol=1e-12, atol=0)
    once, again = (info_nce(positive, n, temperature=0.2) for n in both)
    assert again > once + 0.1


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
    case = similarity_case(num_negatives=16)
    far = [
        eqco_info_nce(*case, temperature=0.2, alpha=alpha).item() - math.log(alpha / 16)
        for alpha in (1e4, 1e6, 1e8, 1e12)
    ]
    distances = [abs(each - dcl(*case, temperature=0.2).item()) for each in far]
    assert distances == sorted(distances, reverse=True)
    assert distances[-1] < 1e-8


def test_dual_temperature_with_one_temperature_is_info_nce(similarity_case: Case) -> None:
    case = similarity_case()
    same = partial(dual_temperature, temperature=0.2, second_temperature=0.2)
    plain = partial(info_nce, temperature=0.2)
    torch.testing.assert_close(same(*case), plain(*case))
    for ours, theirs in zip(gradients(same, case), gradients(plain, case), strict=True):
        torch.testing.assert_close(ours, theirs)


def test_hardness_zero_is_info_nce_and_is_reached_without_a_step(similarity_case: Case) -> None:
    case, plain = similarity_case(), partial(info_nce, temperature=0.2)
    for hardness, reach in ((0.0, 0.0), (1e-9, 1e-7), (1e-300, 1e-12)):
        hard = partial(hard_info_nce, temperature=0.2, hardness=hardness)
        torch.testing.assert_close(hard(*case), plain(*case), rtol=reach, atol=0)
        for ours, theirs in zip(gradients(hard, case), gradients(plain, case), strict=True):
            torch.testing.assert_close(ours, theirs, rtol=reach, atol=reach)


def test_great_hardness_leaves_k_times_the_hardest_negative(similarity_case: Case) -> None:
    positive, negatives = similarity_case()
    hardest = negatives.amax(dim=1, keepdim=True).expand_as(negatives)
    found = hard_info_nce(positive, negatives, temperature=0.2, hardness=100)
    expected = info_nce(positive, hardest, temperature=0.2)
    torch.testing.assert_close(found, expected, rtol=0.02, atol=0)


@pytest.mark.parametrize("temperature", [0.01, 0.07, 0.2, 1.0])
def test_info_nce_is_the_cross_entropy_of_the_concatenated_logits_to_the_bit(
    similarity_case: Case, temperature: float
) -> None:
    """What other codes compute: no number of theirs changes with this loss."""
    positive, negatives = (part.float() for part in similarity_case(64, 255))
    logits = torch.cat([positive[:, None], negatives], dim=1) / temperature
    expected = F.cross_entropy(logits, torch.zeros(64, dtype=torch.long))
    assert torch.equal(info_nce(positive, negatives, temperature=temperature), expected)


@pytest.mark.parametrize("log_odds", [-30.0, 15.0, 21.0, 25.0, 35.0, 45.0], ids="v{:g}".format)
def test_float64_is_exact_at_large_log_odds_too(log_odds: float) -> None:
    """Torch's softplus leaves e^{-v} out from v = 20 on, which is 2e-9 there."""
    case = torch.zeros(1).double(), torch.full((1, 1), log_odds).double()
    expected = max(log_odds, 0.0) + math.log1p(math.exp(-abs(log_odds)))
    for loss in (
        info_nce(*case, temperature=1.0),
        eqco_info_nce(*case, temperature=1.0, alpha=1.0),
        dual_temperature(*case, temperature=1.0, second_temperature=1.0),
    ):
        assert loss.item() == pytest.approx(expected, rel=1e-14 if log_odds > 0 else 1e-8)


@EVERY_LOSS
def test_values_and_gradients_are_finite_at_temperature_one_hundredth(name: str) -> None:
    case = torch.tensor([-1.0, 1.0, 0.0]), torch.tensor([[1.0] * 4, [-1.0] * 4, [0.0] * 4])
    loss = usual(name, temperature=0.01)
    assert torch.isfinite(loss(*case))
    assert all(torch.isfinite(each).all() for each in gradients(loss, case))


@EVERY_LOSS
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float64], ids=str)
def test_the_loss_is_float32_at_least_also_under_autocast(
    similarity_case: Case, name: str, dtype: torch.dtype
) -> None:
    case = [part.to(dtype) for part in similarity_case(num_negatives=64)]
    with torch.autocast("cpu", torch.bfloat16):
        loss = usual(name, temperature=0.07)(*case)
    assert loss.dtype == torch.promote_types(dtype, torch.float32)
    wide = usual(name, temperature=0.07)(*(each.double() for each in case))
    torch.testing.assert_close(loss.double(), wide, rtol=1e-5, atol=1e-5)


@EVERY_LOSS
@pytest.mark.parametrize("value", [0.0, -1.0, math.nan, math.inf], ids=str)
def test_temperature_and_alpha_must_be_finite_and_above_zero(name: str, value: float) -> None:
    case, message = (torch.zeros(2), torch.zeros(2, 3)), r" must be finite and above 0, got "
    with pytest.raises(ValueError, match="temperature" + message):
        usual(name)(*case, temperature=value)
    if LOSSES[name].setting == "alpha":
        with pytest.raises(ValueError, match="alpha" + message):
            usual(name)(*case, alpha=value)
    with pytest.raises(ValueError, match="alpha" + message):
        EqCoLoss(alpha=value)


@pytest.mark.parametrize("value", [-0.1, 101, float("inf"), float("nan"), None], ids=str)
def test_an_invalid_hardness_is_one_sentence(value: float) -> None:
    with pytest.raises(ValueError, match=r"^hardness must lie in \[0, 100\], got "):
        hard_info_nce(torch.zeros(2), torch.zeros(2, 3), temperature=0.2, hardness=value)


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


@EVERY_LOSS
def test_an_unknown_reduction_is_one_sentence_with_the_nearest_name(name: str) -> None:
    with pytest.raises(ValueError, match=r"^unknown reduction 'meen': did you mean mean.*\?$"):
        usual(name)(torch.zeros(2), torch.zeros(2, 3), reduction="meen")
