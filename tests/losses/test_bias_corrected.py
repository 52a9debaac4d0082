"""Losses without the leading bias of few negatives: orders, limits, identities, precision."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import pytest
import torch
from torch import Tensor

from eqco.analysis.theory import expected_loss, leading_gap, limit_loss
from eqco.losses.bias_corrected import dcl_jackknife, eqco_jackknife, eqco_second_order
from eqco.losses.functional import eqco_info_nce

Case = Callable[..., tuple[Tensor, Tensor]]
Loss = Callable[..., Tensor]
ALPHA = 16.0
ORDERS: dict[str, tuple[Loss, float]] = {  # bias ~ K^order
    "eqco": (partial(eqco_info_nce, alpha=ALPHA), -1),
    "eqco_jackknife": (partial(eqco_jackknife, alpha=ALPHA), -2),
    "eqco_second_order": (partial(eqco_second_order, alpha=ALPHA), -2),
}
CORRECTED: dict[str, Loss] = {
    **{name: loss for name, (loss, order) in ORDERS.items() if order == -2},
    "dcl_jackknife": dcl_jackknife,
}
# Similarities of a negative with their probabilities, temperature, and counts of negatives. At a
# low temperature the next order is smaller than the leading one from 64 negatives on.
SYMBOLS = {
    "three-few": ((-0.4, 0.0, 0.2), (0.2, 0.3, 0.5), 0.3, (8, 16, 32, 64)),
    "three-warm": ((-0.4, 0.0, 0.2), (0.2, 0.3, 0.5), 0.5, (8, 16, 32, 64)),
    "two-cold": ((-0.3, 0.3), (0.6, 0.4), 0.2, (64, 128, 256, 512)),
}
EVERY_ALPHABET = pytest.mark.parametrize("alphabet", SYMBOLS)


def slope(counts: tuple[int, ...], values: list[float]) -> float:
    """Of log |value| against log count, least squares."""
    x, y = torch.tensor(counts).double().log(), torch.tensor(values).double().abs().log()
    return ((x - x.mean()) @ (y - y.mean()) / (x - x.mean()).square().sum()).item()


def gradient(loss: Tensor, inputs: tuple[Tensor, ...]) -> Tensor:
    """Derivatives by all inputs, in a row."""
    return torch.cat([each.flatten() for each in torch.autograd.grad(loss, inputs)])


def gradients(loss: Loss, positive: Tensor, negatives: Tensor, temperature: float = 0.2) -> Tensor:
    """Derivatives by all similarities, shape (N, 1 + K)."""
    inputs = [each.detach().clone().requires_grad_() for each in (positive, negatives)]
    loss(*inputs, temperature=temperature, reduction="sum").backward()
    return torch.cat([inputs[0].grad[:, None], inputs[1].grad], dim=1)


@EVERY_ALPHABET
@pytest.mark.parametrize("name", ORDERS)
def test_bias_of_value_and_gradient_falls_with_its_order_on_symbols(
    name: str, alphabet: str
) -> None:
    """Exact: all cases are enumerated. The slope of the plain loss would fail the others' test."""
    values, chances, temperature, counts = SYMBOLS[alphabet]
    positive = torch.tensor(0.3).double().requires_grad_()
    symbols = torch.tensor(values, dtype=torch.float64, requires_grad=True)
    probabilities = torch.tensor(chances, dtype=torch.float64)
    loss, order = ORDERS[name]
    given = (positive, symbols)
    limit = limit_loss(*given, probabilities, temperature=temperature, alpha=ALPHA)
    far = gradient(limit, given)
    biases, of_gradients = [], []
    for count in counts:
        mean = expected_loss(
            partial(loss, temperature=temperature, reduction="none"),
            *given,
            probabilities,
            num_negatives=count,
        )
        biases.append((mean - limit).item())
        of_gradients.append((gradient(mean, given) - far).norm().item())
    assert slope(counts, biases) == pytest.approx(order, abs=0.15)
    assert slope(counts, of_gradients) == pytest.approx(order, abs=0.15)


def test_the_bias_of_eqco_on_symbols_is_the_leading_gap() -> None:
    values, chances = torch.tensor([[-0.3, 0.3], [0.6, 0.4]], dtype=torch.float64)
    positive, weights = torch.tensor(0.3, dtype=torch.float64), (values / 0.2).exp()
    mean = chances @ weights
    squared_cv = chances @ weights**2 / mean**2 - 1
    share = torch.sigmoid((ALPHA * mean).log() - positive / 0.2)
    loss = partial(eqco_info_nce, temperature=0.2, alpha=ALPHA, reduction="none")
    limit = limit_loss(positive, values, chances, temperature=0.2, alpha=ALPHA)
    found = limit - expected_loss(loss, positive, values, chances, num_negatives=1000)
    leading = leading_gap(share[None], squared_cv[None], num_negatives=1000)
    assert found.item() == pytest.approx(leading, rel=0.01)


@pytest.mark.parametrize("name", CORRECTED)
@pytest.mark.parametrize("count", [2, 16, 255, 4096], ids="k{}".format)
@pytest.mark.parametrize("best", [None, 0.5, 1.0], ids="best-{}".format)
def test_float32_at_temperature_0_05_is_float64(
    name: str, count: int, best: float | None, generator: torch.Generator
) -> None:
    """One negative of similarity 1 has all of the softmax but e^{-20}: its complement is exact."""
    positive = 2 * torch.rand(8, generator=generator) - 1
    negatives = 0.3 * torch.randn(8, count, generator=generator).clamp(-3, 3)
    if best is not None:
        negatives = negatives.clamp(max=0.0) - 0.1
        negatives[:, count // 3] = best
    given = (positive, negatives), (positive.double(), negatives.double())
    values = [CORRECTED[name](*each, temperature=0.05, reduction="none") for each in given]
    slopes = [gradients(CORRECTED[name], *each, temperature=0.05) for each in given]
    assert torch.isfinite(values[0]).all()
    assert torch.isfinite(slopes[0]).all()
    scale = values[1].abs().max().item()
    torch.testing.assert_close(values[0].double(), values[1], rtol=1e-4, atol=1e-6 * scale)
    scale = slopes[1].abs().max().item()
    torch.testing.assert_close(slopes[0].double(), slopes[1], rtol=1e-4, atol=1e-5 * scale)


def test_an_expected_loss_is_the_mean_over_all_sequences() -> None:
    values, chances = torch.tensor([[-0.4, 0.0, 0.2], [0.2, 0.3, 0.5]], dtype=torch.float64)
    sequences = torch.cartesian_prod(*[torch.arange(3)] * 4)  # (81, 4)
    positive = torch.tensor(0.3).double()
    loss = partial(eqco_info_nce, temperature=0.2, alpha=ALPHA, reduction="none")
    slowly = chances[sequences].prod(dim=1) @ loss(positive.expand(81), values[sequences])
    found = expected_loss(loss, positive, values, chances, num_negatives=4)
    torch.testing.assert_close(found, slowly, rtol=1e-13, atol=0)
