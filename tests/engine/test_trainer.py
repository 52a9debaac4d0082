"""The training loop: resumes and saves, for pretraining and for the probe alike."""

from __future__ import annotations

import errno
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from eqco.artifacts.checkpoint import earlier, read, save
from eqco.artifacts.run_files import Run
from eqco.config import Machine
from eqco.data import open_images
from eqco.engine import saving
from eqco.engine import trainer as loops
from eqco.engine.pretrain import Pretraining
from eqco.engine.trainer import STEPS_BETWEEN_READS, Trainer
from eqco.evaluation.linear_on_crops import CropProbe
from eqco.methods.encoder import build_encoder
from eqco.recipe import Recipe
from eqco.runtime.resumable import ResumableTask
from eqco.runtime.validation import TrainingError
from reproductions.scales import SCALES
from tests.fake_cuda import Counted, group_of
from tests.faults.damage import equal, stop_at
from tests.processes import start, wait_until
from tests.programs.save_beside import Numbers, as_on_gpu, stream
from tests.trees import probe_recipe, write_tree

RECIPE = replace(SCALES["smoke"].base, epochs=1)


class Count(ResumableTask):
    """Work that adds up its steps; a state of another `kind` does not fit."""

    def __init__(self, steps: int = 10, kind: str = "a") -> None:
        self.step, self.steps, self.kind, self.total = 0, steps, kind, 0

    def advance(self) -> float:
        self.total += self.step
        self.step += 1
        return float(self.total)

    def state(self) -> dict[str, Any]:
        return {"total": self.total, "kind": self.kind}

    def fits(self, state: dict[str, Any]) -> bool:
        return bool(state["kind"] == self.kind)

    def restore(self, state: dict[str, Any]) -> None:
        self.total = state["total"]


def trainer_of(
    work: ResumableTask, machine: Machine, recipe: Recipe = RECIPE, seed: int = 0
) -> Trainer:
    """A trainer with its checkpoint in the machine's folder."""
    return Trainer(work, Run(recipe, seed, machine), machine.checkpoints / "work.pt", "counting")


@pytest.fixture
def often(machine: Machine) -> Machine:
    """A machine that saves after every step."""
    return replace(machine, checkpoint_seconds=0.0)


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Forty training images of four colours."""
    return write_tree(tmp_path_factory.mktemp("loop") / "photos", each=10, held_out=1)


SMALL = replace(RECIPE, data_part=0.02)
PRETRAINED = {  # losses that remember every image see each three times, but a few
    "plain": RECIPE,
    "averages": replace(SMALL, epochs=3, loss="sogclr", sog_gamma=0.5),
    "synthetic": replace(SCALES["smoke"].baseline("synco", SMALL), epochs=1),
}


def made(name: str, machine: Machine) -> tuple[ResumableTask, Recipe]:
    """Pretraining, or the probe of an untrained ResNet-18 on image files."""
    if name in PRETRAINED:
        run = Run(PRETRAINED[name], 0, machine)
        return Pretraining(run, open_images(run.recipe, 0, machine)), run.recipe
    recipe = probe_recipe(machine.data_dir)
    backbone = build_encoder("resnet18", 16, seed=0).backbone
    images = open_images(recipe, 0, machine)
    return CropProbe(backbone, images, recipe, 0, machine), recipe


@pytest.mark.parametrize("name", [*PRETRAINED, "probe of crops"])
def test_interrupted_work_ends_with_the_state_of_uninterrupted_work(
    name: str, machine: Machine, files: Path
) -> None:
    seldom = replace(machine, data_dir=files)
    whole, recipe = made(name, seldom)
    trainer_of(whole, seldom, recipe).train()
    often = replace(seldom, checkpoints=machine.checkpoints / "often", checkpoint_seconds=0.0)
    with pytest.raises(KeyboardInterrupt):
        trainer_of(made(name, often)[0], often, recipe).train(stop_at(1))
    reached = torch.load(often.checkpoints / "work.pt", weights_only=True)["step"]
    assert 0 < reached < whole.steps
    resumed, seen = made(name, often)[0], []
    trainer = trainer_of(resumed, often, recipe)
    trainer.train(lambda stage, step, *_: seen.append(step))
    assert trainer.resumed == 1
    assert seen[0] > reached, "it began anew"
    assert equal(resumed.state(), whole.state())


def test_averages_are_of_the_images_of_the_steps_done(machine: Machine) -> None:
    work, _ = made("averages", machine)
    rows = torch.cat([work.images.shuffle.rows(step)[1] for step in range(2)])
    for _ in range(2):
        work.advance()
    seen = work.averages.log_u.isfinite()
    assert seen.nonzero().flatten().tolist() == sorted(rows.tolist())


def test_a_state_that_does_not_fit_begins_anew(often: Machine) -> None:
    with pytest.raises(KeyboardInterrupt):
        trainer_of(Count(kind="a"), often).train(stop_at(4))
    same, other = Count(kind="a"), Count(kind="b")
    continued, anew = trainer_of(same, often), trainer_of(other, often)
    continued.resume()
    anew.resume()
    assert (same.step, same.total, continued.resumed) == (4, 0 + 1 + 2 + 3, 1)
    assert (other.step, other.total, anew.resumed) == (0, 0, 0)
    anew.train()
    assert other.total == sum(range(10))


def test_a_checkpoint_of_another_seed_or_recipe_raises_an_error(often: Machine) -> None:
    trainer_of(Count(), often).train()
    with pytest.raises(TrainingError, match=r"is of recipe .*, this run is"):
        trainer_of(Count(), often, replace(RECIPE, temperature=0.3)).train()
    with pytest.raises(TrainingError, match=r"seed 0, this run is .* seed 1"):
        trainer_of(Count(), often, seed=1).train()


def test_finished_work_is_not_done_again(often: Machine) -> None:
    trainer_of(Count(), often).train()
    again, seen = Count(), []
    trainer_of(again, often).train(lambda *given: seen.append(given))
    assert (again.step, again.total, seen) == (10, sum(range(10)), [])


@pytest.mark.parametrize(("device", "between"), [("cpu", 1), ("cuda", STEPS_BETWEEN_READS)])
def test_processes_agree_on_saving_and_stopping_at_once(
    device: str, between: int, machine: Machine
) -> None:
    """One collective for both, after each step, or every tenth where a GPU runs ahead."""
    work = Count(100)
    trainer = trainer_of(work, replace(machine, device=device, checkpoint_seconds=20.0))
    with group_of(8), Counted() as counted:
        due = []
        for work.step in range(1, 3 * STEPS_BETWEEN_READS + 1):
            due.append(trainer.shared_decision(60.0, work.step - 1))
    every = range(between, 3 * STEPS_BETWEEN_READS + 1, between)
    assert [step for step, now in enumerate(due, start=1) if now == (True, 0)] == [*every]
    assert counted.collectives == {"allreduce_": len(every)}


def test_one_process_asks_no_device(machine: Machine) -> None:
    work = Count(100)
    trainer = trainer_of(work, replace(machine, device="cuda", checkpoint_seconds=20.0))
    with Counted() as counted:
        assert trainer.shared_decision(60.0, 0) == (True, 0)
        assert trainer.shared_decision(10.0, 0) == (False, 0)
    assert not counted.found


def test_states_are_saved_as_often_as_the_clock_says(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each step takes 8 s: after three steps more than 20 s have passed."""
    clock = iter(range(0, 1000, 8))
    monkeypatch.setattr(loops.time, "monotonic", lambda: float(next(clock)))
    saved: list[int] = []
    monkeypatch.setattr(saving, "save", lambda path, state: saved.append(state["step"]))
    trainer = trainer_of(Count(10), replace(machine, checkpoint_seconds=20.0))
    trainer.train()
    assert saved == [3, 6, 9, 10]
    assert trainer.seconds == 80.0


def test_seconds_of_all_sessions_add_up(often: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter(range(1000))
    monkeypatch.setattr(loops.time, "monotonic", lambda: float(next(clock)))
    with pytest.raises(KeyboardInterrupt):
        trainer_of(Count(), often).train(stop_at(4))
    trainer = trainer_of(Count(), often)
    trainer.train()
    assert trainer.seconds == 10.0


# Checkpoints that are written beside training, as on a GPU, hold what they would have held.


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
