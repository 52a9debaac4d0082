"""Checkpoints that are written beside training, as on a GPU, hold what they would have held."""

from __future__ import annotations

import errno
import time
from pathlib import Path
from typing import Any

import pytest
import torch

from eqco.artifacts.checkpoint import earlier, read, save
from eqco.engine import saving
from eqco.engine.trainer import Trainer
from tests.faults.damage import stop_at
from tests.processes import start, wait_until
from tests.programs.save_beside import Numbers, as_on_gpu, stream

STEPS = 6


@pytest.fixture
def trainer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Trainer[Numbers]:
    """Saves after every step."""
    monkeypatch.setattr(torch.cuda, "current_stream", stream)
    return as_on_gpu(tmp_path, STEPS)


def step_of(path: Path) -> int:
    """The step of a checkpoint, whose numbers must be of it."""
    state = read(path, "digest", "seed", "step")
    assert state["method"]["numbers"].unique().tolist() == [state["step"]]
    return int(state["step"])


def test_training_goes_on_while_a_checkpoint_is_written(
    trainer: Trainer[Numbers], monkeypatch: pytest.MonkeyPatch
) -> None:
    """But not at the first one, nor at the end."""
    saved: list[int] = []

    def slow(path: Path, state: dict[str, Any]) -> None:
        step = state["step"]
        if 1 < step < STEPS:
            wait_until(lambda: trainer.task.step > step)
        save(path, state)
        saved.append(step_of(path))

    monkeypatch.setattr(saving, "save", slow)
    trainer.train()
    assert saved == [*range(1, STEPS + 1)]


def test_an_interruption_waits_for_the_checkpoint(trainer: Trainer[Numbers]) -> None:
    with pytest.raises(KeyboardInterrupt):
        trainer.train(stop_at(STEPS - 2))
    assert step_of(trainer.path) == STEPS - 2
    assert step_of(earlier(trainer.path)) == STEPS - 3


def test_a_refused_checkpoint_is_a_warning(
    trainer: Trainer[Numbers], monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(path: Path, state: dict[str, Any]) -> None:
        if state["step"] == 3:
            raise OSError(errno.ENOSPC, "No space left on device")
        save(path, state)

    monkeypatch.setattr(saving, "save", full)
    with pytest.warns(RuntimeWarning, match="the earlier one is kept: training goes on") as caught:
        trainer.train()
    assert len(caught) == 1
    assert step_of(trainer.path) == STEPS


def test_a_killed_process_leaves_a_whole_checkpoint(tmp_path: Path) -> None:
    for pause in (0.0, 0.05):
        child = start("-m", "tests.programs.save_beside", tmp_path)
        before = earlier(tmp_path / "work.pt")
        before.unlink(missing_ok=True)
        wait_until(before.exists)
        time.sleep(pause)
        child.kill()
        child.communicate()
        usable = [each for each in (tmp_path / "work.pt", before) if each.exists()]
        assert step_of(usable[0]) >= 1
