"""Losses of similarities: by relation first, then precision and bad input."""

from __future__ import annotations

import doctest
import importlib
import inspect
import pkgutil
from collections.abc import Callable
from functools import partial

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

import eqco
from eqco.losses.functional import eqco_info_nce, info_nce
from eqco.losses.registry import LOSSES
from tests.formulas import DEFINITIONS, as_defined, usual_settings

Case = Callable[..., tuple[Tensor, Tensor]]
MODULES = sorted(each.name for each in pkgutil.walk_packages(eqco.__path__, "eqco."))
COUNTS = pytest.mark.parametrize("num_negatives", [1, 4, 255], ids="k{}".format)
ALPHAS = pytest.mark.parametrize("alpha", [0.5, 256.0, 65536.0], ids="alpha{:g}".format)
EVERY_LOSS = pytest.mark.parametrize("name", sorted(LOSSES))


def usual(name: str, temperature: float = 0.2) -> Callable[..., Tensor]:
    """A loss with a temperature and its setting at its usual value."""
    return partial(LOSSES[name].function, **usual_settings(name, temperature))


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
def test_eqco_with_alpha_k_is_info_nce(similarity_case: Case, num_negatives: int) -> None:
    case = similarity_case(num_negatives=num_negatives)
    for alpha in (float(num_negatives), None):
        equal = eqco_info_nce(*case, temperature=0.2, alpha=alpha)
        torch.testing.assert_close(equal, info_nce(*case, temperature=0.2))


@pytest.mark.parametrize("temperature", [0.01, 0.07, 0.2, 1.0])
def test_info_nce_is_the_cross_entropy_of_the_concatenated_logits_to_the_bit(
    similarity_case: Case, temperature: float
) -> None:
    """What other codes compute: no number of theirs changes with this loss."""
    positive, negatives = (part.float() for part in similarity_case(64, 255))
    logits = torch.cat([positive[:, None], negatives], dim=1) / temperature
    expected = F.cross_entropy(logits, torch.zeros(64, dtype=torch.long))
    assert torch.equal(info_nce(positive, negatives, temperature=temperature), expected)


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
