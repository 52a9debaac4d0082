"""The numbers of short runs have not changed; where they have, NUMERICS must be raised."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from eqco.losses.functional import info_nce
from eqco.losses.interface import of_similarities
from eqco.losses.logits import ContrastiveLogits
from eqco.losses.registry import LOSSES
from tests.golden import RECIPES, Outcome, first_losses, kept, outcome, platform_name

MESSAGE = (
    "the same recipe gives another number: raise NUMERICS in eqco/config.py, which voids the "
    "committed records, and keep the new numbers by python -m tests.golden --write; or undo the "
    "change"
)
REACH = 1e-5  # relative; other vector instructions move the first three losses by 2e-7


def check(name: str, found: Outcome) -> None:
    """Equal to the bit on a known platform, near every known one on another."""
    known = kept()
    if platform_name() in known:
        assert found == known[platform_name()][name], MESSAGE
    for of, there in known.items():
        near = pytest.approx(first_losses(there[name]), rel=REACH)
        assert first_losses(found) == near, f"{of}: {MESSAGE}"


@pytest.mark.parametrize("name", sorted(RECIPES))
def test_a_run_gives_the_numbers_that_are_kept(name: str, tmp_path: Path) -> None:
    check(name, outcome(name, tmp_path))


def test_the_guard_finds_a_change_in_the_last_bits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A learning rate that is larger by one part in a million, for a single step."""
    if platform_name() not in kept():
        pytest.skip("the last bits are known on platforms that have an entry alone")
    steps = []
    inner = torch.optim.SGD.step

    def step(self: torch.optim.SGD, closure: None = None) -> None:
        steps.append(0)
        if len(steps) == 5:
            for group in self.param_groups:
                group["lr"] *= 1 + 1e-6
        inner(self, closure)

    monkeypatch.setattr(torch.optim.SGD, "step", step)
    with pytest.raises(AssertionError, match="raise NUMERICS"):
        check("simo", outcome("simo", tmp_path))


def test_the_guard_finds_another_loss_on_every_platform(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The factor alpha / K left out, as in the authors' code."""

    @of_similarities
    def without(logits: ContrastiveLogits, *, alpha: float, temperature: float) -> torch.Tensor:
        return info_nce.of_logits(logits, temperature=temperature)

    monkeypatch.setitem(LOSSES, "eqco", replace(LOSSES["eqco"], function=without))
    with pytest.raises(AssertionError, match="raise NUMERICS"):
        check("simo", outcome("simo", tmp_path))
