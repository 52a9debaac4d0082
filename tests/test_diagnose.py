"""The diagnosis agrees with measured loss gaps, and its command says what it cannot do."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor

from eqco.__main__ import main
from eqco.checkpoint import checkpoint_path
from eqco.diagnose import diagnose, report
from eqco.pretrain import pretrain
from eqco.recipe import SCALES, Machine
from eqco.testbeds import Gaussians


def similarities(sigma: float, count: int = 2000) -> tuple[Tensor, Tensor]:
    """Log-normal weights: CV^2 = exp(sigma^2) - 1 at temperature 1; positives at 2."""
    draw = torch.Generator().manual_seed(0)
    negatives = sigma * torch.randn(count, count, generator=draw, dtype=torch.float64)
    return torch.full((count,), 2.0, dtype=torch.float64), negatives


def test_squared_cv_is_that_of_the_distribution() -> None:
    found = diagnose(*similarities(0.8), temperature=1.0, alpha=256.0)
    truth = math.exp(0.64) - 1
    assert found.squared_cv.value == pytest.approx(truth, rel=0.02)


@pytest.mark.parametrize("sigma", [0.2, 0.8], ids="sigma{}".format)
def test_leading_order_predicts_the_measured_gap_where_k_is_far_above_cv2(sigma: float) -> None:
    found = diagnose(*similarities(sigma), temperature=1.0, alpha=256.0, counts=(64, 255))
    for gap in found.gaps:
        assert gap.measured.value == pytest.approx(gap.sharp, rel=0.15, abs=4 * gap.measured.error)
        assert gap.sharp <= gap.coarse


def test_more_spread_needs_more_negatives() -> None:
    needed = [
        diagnose(*similarities(sigma), temperature=1.0, alpha=256.0, tolerance=0.01).enough
        for sigma in (0.2, 0.8, 1.2)
    ]
    assert needed == sorted(needed)
    assert needed[0] < needed[-1]


def test_the_report_fits_80_columns_and_names_k_16() -> None:
    found = diagnose(*similarities(0.8), temperature=1.0, alpha=256.0)
    text = report(found, alpha=256.0)
    assert max(len(line) for line in text.splitlines()) <= 80
    assert "At K = 16" in text


def test_a_k_that_is_not_below_the_negatives_is_refused() -> None:
    positive, negatives, _ = Gaussians(0.5).draw(10, 20, torch.Generator().manual_seed(0))
    with pytest.raises(ValueError, match="K = 20 is not below the 20 negatives at hand"):
        diagnose(positive, negatives, temperature=1.0, alpha=16.0, counts=(4, 20))


def test_a_tolerance_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="tolerance must be above 0 nats, got 0"):
        diagnose(*similarities(0.2, 300), temperature=1.0, alpha=16.0, tolerance=0.0)


def test_the_command_reads_a_checkpoint(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    recipe = replace(SCALES["smoke"].base, epochs=1)
    machine = Machine(threads=1, checkpoints=tmp_path)
    from eqco.data import load

    pretrain(recipe, 0, load("glyphs", recipe.data_part, tmp_path), machine)
    path = checkpoint_path(recipe, 0, machine)
    assert main(["diagnose", str(path), "--images", "400"]) == 0
    assert "CV^2 of the negatives" in capsys.readouterr().out
    state = torch.load(path, weights_only=True)
    del state["recipe"]
    torch.save(state, path)
    assert main(["diagnose", str(path)]) == 2
    assert "does not hold its recipe: give --record" in capsys.readouterr().err
    assert main(["diagnose", str(tmp_path / "none.pt")]) == 2
    assert "none.pt cannot be read" in capsys.readouterr().err
