"""Kind 12: what has no value at the rim, such as K = 0, is refused in a sentence."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from eqco.analysis import mutual_information, theory
from eqco.analysis.diagnosis import diagnose
from eqco.analysis.mutual_information import Gaussians, Symbols
from eqco.losses.functional import eqco_info_nce, margin
from eqco.losses.modules import DualTemperatureLoss, EqCoLoss
from eqco.losses.similarity import Similarities
from tests.faults.test_rim import case

pytestmark = pytest.mark.faults

NO_COUNTS: dict[str, Callable[[int], object]] = {
    "margin": lambda k: margin(k, temperature=0.2, alpha=16),
    "mean_field_gap": lambda k: theory.mean_field_gap(7.0, num_negatives=k),
    "leading_gap": lambda k: theory.leading_gap(torch.ones(2), torch.ones(2), num_negatives=k),
    "gradient_noise_bound": lambda k: theory.gradient_noise_bound(
        0.5, 7.0, num_negatives=k, temperature=0.2
    ),
    "expected_loss": lambda k: theory.expected_loss(
        lambda positive, negatives: positive,
        torch.tensor(0.0), torch.zeros(2), torch.full((2,), 0.5), num_negatives=k,
    ),
    "certified_bound": lambda k: mutual_information.certified_bound(1.0, alpha=16, num_negatives=k),
    "Symbols.loss": lambda k: Symbols(4).loss(alpha=16, num_negatives=k),
    "diagnose": lambda k: diagnose(
        torch.zeros(4), torch.zeros(4, 9), temperature=0.2, alpha=16, counts=(k,)
    ),
    "EqCoLoss": lambda k: EqCoLoss(k),
}  # fmt: skip


@pytest.mark.parametrize("count", [0, -1])
@pytest.mark.parametrize("name", NO_COUNTS)
def test_no_negatives_are_refused_in_a_sentence(name: str, count: int) -> None:
    with pytest.raises(ValueError, match=rf"(num_negatives|K) must be .*1.*, got \[?{count}"):
        NO_COUNTS[name](count)


REFUSED: dict[str, tuple[Callable[[], object], str]] = {
    "all keys excluded": (
        lambda: Similarities(
            torch.eye(1, 4), torch.eye(1, 4), torch.eye(1, 4), excluded=torch.zeros(1, 1).long()
        ),
        "no negative is left of 1 key",
    ),
    "one value": (lambda: mutual_information.estimate(torch.ones(1)), "2 values at least"),
    "correlation of 1": (lambda: Gaussians(1.0), "correlation must"),
    "no dimension": (lambda: Gaussians(0.5, 0), "dim must"),
    "one symbol": (lambda: Symbols(1), "count must"),
    "alpha of 0": (lambda: Symbols(4).limit_loss(alpha=0), "alpha must"),
    "alpha of 0, quadrature": (lambda: Gaussians(0.5).limit_loss(alpha=0), "alpha must"),
    "no K": (
        lambda: diagnose(torch.zeros(4), torch.zeros(4, 9), temperature=1, alpha=1, counts=()),
        "K must be at least 1",
    ),
    "one query": (
        lambda: diagnose(torch.zeros(1), torch.zeros(1, 9), temperature=1, alpha=1, counts=(1,)),
        "2 queries at least",
    ),
    "tolerance beyond floats": (
        lambda: diagnose(*case(1, 9, torch.float32), temperature=1, alpha=1, counts=(1,),
                         tolerance=1e-320),
        "tolerance must",
    ),
    "temperature beyond float32": (
        lambda: eqco_info_nce(*case(1, 9, torch.float32), temperature=1e-40, alpha=1),
        "temperature must",
    ),
    "temperature of a module": (lambda: EqCoLoss(temperature=1e-40), "temperature must"),
    "second temperature": (
        lambda: DualTemperatureLoss(second_temperature=1e-40), "second_temperature must"
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_what_has_no_value_is_refused_in_a_sentence(name: str) -> None:
    make, sentence = REFUSED[name]
    with pytest.raises(ValueError, match=sentence):
        make()
