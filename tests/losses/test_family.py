"""DCL, FlatNCE and dual temperature: identities, gradients and error messages."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import pytest
import torch
from torch import Tensor

from eqco.losses.bias_corrected import (
    dcl_jackknife,
    eqco_jackknife,
    eqco_second_order,
    flat_nce_jackknife,
)
from eqco.losses.functional import (
    dcl,
    dual_temperature,
    eqco_info_nce,
    flat_nce,
    hard_info_nce,
    info_nce,
    margin,
    sog_clr,
)
from eqco.losses.registry import LOSSES

Case = Callable[..., tuple[Tensor, Tensor]]
FAMILY: dict[str, Callable[..., Tensor]] = {
    "infonce": info_nce,
    "eqco": partial(eqco_info_nce, alpha=64.0),
    "dcl": dcl,
    "flat_nce": flat_nce,
    "dual_temperature": partial(dual_temperature, second_temperature=1.0),
    "eqco_jackknife": partial(eqco_jackknife, alpha=64.0),
    "eqco_second_order": partial(eqco_second_order, alpha=64.0),
    "dcl_jackknife": dcl_jackknife,
    "flat_nce_jackknife": flat_nce_jackknife,
    "hard_infonce": partial(hard_info_nce, hardness=1.0),
    "sogclr": partial(sog_clr, sog_gamma=0.9),
}
EVERY = pytest.mark.parametrize("name", sorted(FAMILY))


def gradients(loss: Callable[..., Tensor], case: tuple[Tensor, Tensor]) -> list[Tensor]:
    """Gradients by positive and negatives at temperature 0.2."""
    inputs = [each.clone().requires_grad_(True) for each in case]
    loss(*inputs, temperature=0.2).backward()
    return [each.grad for each in inputs if each.grad is not None]


def test_every_loss_of_the_registry_is_tested_here() -> None:
    assert set(LOSSES) == set(FAMILY)


def test_eqco_tends_to_dcl_as_alpha_grows(similarity_case: Case) -> None:
    case = similarity_case()
    shift = margin(case[1].shape[1], temperature=1.0, alpha=1e12)  # log(alpha / K)
    far = eqco_info_nce(*case, temperature=0.2, alpha=1e12) - shift
    torch.testing.assert_close(far, dcl(*case, temperature=0.2), atol=1e-8, rtol=0)


def test_flat_nce_is_one_and_has_the_gradient_of_dcl(similarity_case: Case) -> None:
    case = similarity_case()
    assert flat_nce(*case, temperature=0.2).item() == pytest.approx(1.0, abs=1e-12)
    for ours, theirs in zip(gradients(flat_nce, case), gradients(dcl, case), strict=True):
        torch.testing.assert_close(ours, theirs)


def test_dual_temperature_with_one_temperature_is_info_nce(similarity_case: Case) -> None:
    case = similarity_case()
    same = partial(dual_temperature, second_temperature=0.2)
    torch.testing.assert_close(same(*case, temperature=0.2), info_nce(*case, temperature=0.2))
    for ours, theirs in zip(gradients(same, case), gradients(info_nce, case), strict=True):
        torch.testing.assert_close(ours, theirs)


def test_dual_temperature_gives_each_query_the_weight_of_the_second(similarity_case: Case) -> None:
    """The gradient by the positive is -(1 - p_0) / t; dual puts 1 - p_0(t') there."""
    case = similarity_case()
    count = len(case[0])
    dual = gradients(partial(dual_temperature, second_temperature=1.0), case)[0]
    logits = torch.cat([case[0][:, None], case[1]], dim=1)
    expected = -(1 - logits.softmax(dim=1)[:, 0]) / 0.2 / count
    torch.testing.assert_close(dual, expected)


def reweighted(
    positive: Tensor, negatives: Tensor, *, temperature: float, hardness: float
) -> Tensor:
    """The mean over queries with weights of mean 1, as the definition has it, with plain exp."""
    weight = (hardness * negatives / temperature).exp()
    weight = weight / weight.mean(dim=1, keepdim=True)
    own = (positive / temperature).exp()
    total = own + (weight * (negatives / temperature).exp()).sum(dim=1)
    return -(own / total).log().mean()


@pytest.mark.parametrize("hardness", [0.0, 0.1, 1.0, 3.0], ids="beta{:g}".format)
def test_hard_info_nce_is_its_definition_with_gradient_through_the_weights(
    hardness: float, similarity_case: Case
) -> None:
    case = similarity_case()
    ours, theirs = (partial(each, hardness=hardness) for each in (hard_info_nce, reweighted))
    torch.testing.assert_close(
        ours(*case, temperature=0.2), theirs(*case, temperature=0.2), rtol=1e-12, atol=0
    )
    for one, other in zip(gradients(ours, case), gradients(theirs, case), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-10, atol=1e-15)


def test_hardness_zero_is_info_nce_and_is_reached_without_a_step(similarity_case: Case) -> None:
    case = similarity_case()
    for hardness, reach in ((0.0, 0.0), (1e-9, 1e-7), (1e-300, 1e-12)):
        hard = partial(hard_info_nce, hardness=hardness)
        torch.testing.assert_close(
            hard(*case, temperature=0.2), info_nce(*case, temperature=0.2), rtol=reach, atol=0
        )
        for ours, theirs in zip(gradients(hard, case), gradients(info_nce, case), strict=True):
            torch.testing.assert_close(ours, theirs, rtol=reach, atol=reach)


def test_great_hardness_leaves_k_times_the_hardest_negative(similarity_case: Case) -> None:
    positive, negatives = similarity_case()
    hardest = negatives.amax(dim=1, keepdim=True).expand_as(negatives)
    torch.testing.assert_close(
        hard_info_nce(positive, negatives, temperature=0.2, hardness=100),
        info_nce(positive, hardest, temperature=0.2),
        rtol=0.02,
        atol=0,
    )


def test_equal_negatives_have_no_hardness(similarity_case: Case) -> None:
    positive, negatives = similarity_case()
    same = negatives[:, :1].expand_as(negatives)
    torch.testing.assert_close(
        hard_info_nce(positive, same, temperature=0.2, hardness=2),
        info_nce(positive, same, temperature=0.2),
    )


@pytest.mark.parametrize("value", [-0.1, 101, float("inf"), float("nan"), None], ids=str)
def test_an_invalid_hardness_is_one_sentence(value: float) -> None:
    with pytest.raises(ValueError, match=r"^hardness must lie in \[0, 100\], got "):
        hard_info_nce(torch.zeros(2), torch.zeros(2, 3), temperature=0.2, hardness=value)


def test_dcl_has_no_positive_in_its_denominator(similarity_case: Case) -> None:
    positive, negatives = similarity_case()
    moved = dcl(positive + 0.1, negatives, temperature=0.2)
    torch.testing.assert_close(
        dcl(positive, negatives, temperature=0.2) - moved, torch.tensor(0.5).double()
    )


@EVERY
def test_gradients_are_those_of_finite_differences(name: str, similarity_case: Case) -> None:
    if name in ("flat_nce", "flat_nce_jackknife", "dual_temperature"):
        pytest.skip("its stopped factor is not seen by the gradient, by definition")
    case = tuple(each.requires_grad_(True) for each in similarity_case())
    assert torch.autograd.gradcheck(partial(FAMILY[name], temperature=0.2), case)


@EVERY
def test_values_and_gradients_are_finite_at_temperature_one_hundredth(name: str) -> None:
    positive = torch.tensor([-1.0, 1.0, 0.0], requires_grad=True)
    negatives = torch.tensor([[1.0] * 4, [-1.0] * 4, [0.0] * 4], requires_grad=True)
    loss = FAMILY[name](positive, negatives, temperature=0.01)
    loss.backward()
    assert torch.isfinite(loss)
    assert positive.grad is not None
    assert torch.isfinite(positive.grad).all()


@EVERY
@pytest.mark.parametrize("value", [0.0, -1.0, float("nan")], ids=str)
def test_an_invalid_temperature_raises_an_error(name: str, value: float) -> None:
    with pytest.raises(ValueError, match="temperature must be finite and above 0"):
        FAMILY[name](torch.zeros(2), torch.zeros(2, 3), temperature=value)


@EVERY
def test_shapes_that_do_not_match_raise_an_error(name: str) -> None:
    with pytest.raises(ValueError, match=r"positive must have shape \(N,\)"):
        FAMILY[name](torch.zeros(2), torch.zeros(3, 3), temperature=0.2)


@EVERY
def test_the_value_is_float32_under_autocast(name: str) -> None:
    positive, negatives = torch.zeros(2).bfloat16(), torch.zeros(2, 3).bfloat16()
    with torch.autocast("cpu", torch.bfloat16):
        assert FAMILY[name](positive, negatives, temperature=0.2).dtype == torch.float32
