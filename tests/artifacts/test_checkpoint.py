"""Checkpoints that cannot be used raise one sentence, and a run has one process at a time."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from eqco.artifacts.checkpoint import load, read, save
from eqco.artifacts.run_files import Run
from eqco.config import Machine
from eqco.data import open_images
from eqco.engine.pretrain import pretrain
from eqco.runtime.validation import TrainingError
from reproductions.scales import SCALES

RECIPE = replace(SCALES["smoke"].base, epochs=1)


def test_a_checkpoint_of_another_recipe_raises_an_error(machine: Machine) -> None:
    images = open_images(RECIPE, 0, machine)
    pretrain(Run(RECIPE, 0, machine), images)
    other = replace(RECIPE, temperature=0.3)
    os.rename(Run(RECIPE, 0, machine).checkpoint, Run(other, 0, machine).checkpoint)
    with pytest.raises(TrainingError, match=r"is of recipe .* this run is"):
        pretrain(Run(other, 0, machine), images)


def test_a_checkpoint_of_another_seed_raises_an_error(tmp_path: Path) -> None:
    path = tmp_path / "run.pt"
    save(path, {"digest": "12345678", "seed": 3})
    assert load(path, "12345678", 3) == {"digest": "12345678", "seed": 3}
    with pytest.raises(TrainingError, match=r"is of recipe 12345678 seed 3, this run is .* seed 4"):
        load(path, "12345678", 4)


def test_a_damaged_checkpoint_is_named(machine: Machine) -> None:
    path = Run(RECIPE, 0, machine).checkpoint
    path.parent.mkdir(parents=True)
    path.write_bytes(b"half a file")
    with pytest.raises(TrainingError, match=r"checkpoint .* cannot be read"):
        pretrain(Run(RECIPE, 0, machine), open_images(RECIPE, 0, machine))


@pytest.mark.parametrize("share", [0.0, 0.5, 0.99])
def test_a_truncated_checkpoint_is_named(tmp_path: Path, share: float) -> None:
    path = tmp_path / "run.pt"
    save(path, {"digest": "12345678", "seed": 3, "weights": torch.zeros(1000)})
    whole = path.read_bytes()
    path.write_bytes(whole[: int(share * len(whole))])
    with pytest.raises(TrainingError, match=r"checkpoint .*run.pt cannot be read"):
        load(path, "12345678", 3)


def test_a_part_that_is_missing_is_named(tmp_path: Path) -> None:
    path = tmp_path / "run.pt"
    save(path, {"digest": "12345678"})
    assert read(path, "digest") == {"digest": "12345678"}
    with pytest.raises(TrainingError, match=r"run.pt cannot be read .*lacks the field method"):
        read(path, "digest", "method")
