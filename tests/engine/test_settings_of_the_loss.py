"""Settings beside the loss: a constant factor, and the penalty on the negatives' variance."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from eqco.artifacts.run_files import Run
from eqco.config import Machine
from eqco.data import open_images
from eqco.engine.pretrain import Pretraining
from eqco.losses.functional import variance_penalty
from eqco.recipe import Recipe
from reproductions.scales import SCALES

BASE = replace(SCALES["smoke"].base, num_negatives=16, warmup_epochs=0.0, weight_decay=0.0)


def weights(work: Pretraining) -> torch.Tensor:
    """All weights of the encoder in one vector."""
    parts = [each.detach().flatten() for each in work.method.encoder.parameters()]
    return torch.cat(parts)


def moved(recipe: Recipe, folder: Path) -> tuple[float, torch.Tensor]:
    """The loss of the first step, and what the step adds to all weights."""
    machine = Machine(threads=1, checkpoints=folder)
    work = Pretraining(Run(recipe, 0, machine), open_images(recipe, 0, machine))
    before = weights(work)
    value = work.advance()
    return value, weights(work) - before


def test_a_factor_of_the_loss_multiplies_the_step_and_not_the_curve(tmp_path: Path) -> None:
    value, step = moved(BASE, tmp_path)
    same, scaled = moved(replace(BASE, loss_scale=3.0), tmp_path)
    assert same == value
    torch.testing.assert_close(scaled, 3.0 * step, rtol=1e-3, atol=1e-4)


def test_the_penalty_is_added_with_its_weight(tmp_path: Path) -> None:
    value, step = moved(BASE, tmp_path)
    once, twice = (moved(replace(BASE, variance_penalty=w), tmp_path) for w in (1.0, 2.0))
    assert once[0] - value == pytest.approx((twice[0] - value) / 2, abs=1e-5)
    assert once[0] > value
    assert not torch.allclose(once[1], step)


def test_the_penalty_is_least_at_the_similarity_of_evenly_spread_points() -> None:
    similarity = torch.full((2, 3), -1 / 50, requires_grad=True)
    variance_penalty(similarity, 50).backward()
    assert similarity.grad is not None
    assert similarity.grad.abs().max() < 1e-9
