"""A killed run resumes, and ends with the weights of an uninterrupted one."""

from __future__ import annotations

import math
import signal
import time
import warnings
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from eqco.artifacts.checkpoint import earlier
from eqco.artifacts.pretrained import trained_encoder
from eqco.artifacts.run_files import Run
from eqco.config import Machine
from eqco.data import open_images
from eqco.data.in_memory import InMemory
from eqco.engine.pretrain import Pretraining, learning_rate_at, pretrain, readable
from eqco.losses.functional import variance_penalty
from eqco.recipe import Recipe
from eqco.runtime.validation import TrainingError
from reproductions.scales import SCALES
from tests.fake_cuda import Counted, FakeCuda
from tests.faults.damage import equal, machine_in
from tests.processes import start, wait_until

RECIPE = replace(SCALES["smoke"].base, loss="eqco", alpha=64.0, num_negatives=16, epochs=4)
State = dict[str, torch.Tensor]


@pytest.fixture(scope="module")
def images() -> InMemory:
    """The smoke part of the glyphs."""
    return open_images(RECIPE, 0, Machine(threads=1))


@pytest.fixture(scope="module")
def whole(images: InMemory, tmp_path_factory: pytest.TempPathFactory) -> State:
    """State of the method after an uninterrupted run."""
    folder = tmp_path_factory.mktemp("whole")
    return pretrain(Run(RECIPE, 0, machine_in(folder)), images).task.method.state_dict()


SLOWLY = """
import pathlib, sys, time
from tests.engine.test_pretrain import RECIPE, Run, machine_in, open_images, pretrain
run = Run(RECIPE, 0, machine_in(pathlib.Path(sys.argv[1])))
pretrain(run, open_images(RECIPE, 0, run.machine), lambda *_: time.sleep(0.2))
"""


def test_a_killed_run_resumes_bit_for_bit(images: InMemory, tmp_path: Path, whole: State) -> None:
    path = Run(RECIPE, 0, machine_in(tmp_path)).checkpoint
    child = start("-c", SLOWLY, tmp_path)
    wait_until(path.exists)
    time.sleep(0.3)
    child.send_signal(signal.SIGKILL)
    assert child.wait() == -signal.SIGKILL, "the run ended before it was killed"
    kept = path if path.exists() else earlier(path)  # it may fall between two renames
    reached = torch.load(kept, weights_only=True)["step"]
    steps = Pretraining(Run(RECIPE, 0, machine_in(tmp_path)), images).steps
    assert 0 < reached < steps
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        resumed = pretrain(Run(RECIPE, 0, machine_in(tmp_path)), images)
    assert resumed.resumed == 1
    for name, value in resumed.task.method.state_dict().items():
        assert torch.equal(value, whole[name]), name


def test_divergence_names_the_step_and_keeps_a_finite_checkpoint(
    images: InMemory, tmp_path: Path
) -> None:
    wild = replace(RECIPE, learning_rate=1e6, warmup_epochs=0.0, weight_decay=1e6)
    with pytest.raises(TrainingError, match=r"diverged at step \d+ of \d+ .*learning_rate"):
        pretrain(Run(wild, 0, machine_in(tmp_path)), images)
    path = Run(wild, 0, machine_in(tmp_path)).checkpoint
    if path.exists():
        state = torch.load(path, weights_only=True)["method"]
        assert all(torch.isfinite(v).all() for v in state.values() if v.is_floating_point())


def test_weights_that_are_not_finite_are_never_saved(images: InMemory, tmp_path: Path) -> None:
    work = Pretraining(Run(RECIPE, 0, machine_in(tmp_path)), images)
    with Counted() as counted:
        work.check_weights()
    assert counted.found["aten._local_scalar_dense"] == 1  # reads of a device, whatever the encoder
    work.state()
    with torch.no_grad():
        next(work.method.encoder.parameters()).view(-1)[0] = float("nan")
    for look in (work.check_weights, work.state):
        with pytest.raises(TrainingError, match="is not finite"):
            look()


def test_a_number_of_a_gpu_is_waited_for_when_it_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    waited: list[bool] = []
    event = SimpleNamespace(synchronize=lambda: waited.append(True))
    stream = SimpleNamespace(record_event=lambda: event)
    monkeypatch.setattr(torch.cuda, "current_stream", lambda: stream)
    with FakeCuda():
        read = readable(torch.empty((), device="cuda"))
        assert not waited
        with pytest.raises(RuntimeError, match="_local_scalar_dense"):  # fake ones have no number
            read()
    assert waited == [True]


LAG = 4  # steps after which a loss is read


def late(images: InMemory, folder: Path, recipe: Recipe = RECIPE) -> Pretraining:
    """Work that reads its losses some steps later, as on a GPU."""
    work = Pretraining(Run(recipe, 0, machine_in(folder)), images)
    work.lag = LAG
    return work


def test_losses_that_are_read_later_are_the_same(images: InMemory, tmp_path: Path) -> None:
    at_once = Pretraining(Run(RECIPE, 0, machine_in(tmp_path)), images)
    losses = [at_once.advance() for _ in range(10)]
    work = late(images, tmp_path)
    later = [work.advance() for _ in range(10)]
    assert later == losses[:1] * (1 + LAG) + losses[1:-LAG]
    assert len(work.curve) < len(at_once.curve)
    assert equal(work.state(), at_once.state())  # which reads the rest


@pytest.mark.parametrize("more", [0, LAG], ids=["before a checkpoint", "when it is read"])
def test_a_loss_that_is_read_later_ends_the_run(
    more: int, images: InMemory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The weights do not show it; the sentence names the step of the loss."""
    work = late(images, tmp_path)
    for _ in range(3):
        work.advance()
    with monkeypatch.context() as patch:
        patch.setattr(work, "loss", lambda views: Pretraining.loss(work, views) + math.inf)
        work.advance()
    for _ in range(more - 1):
        work.advance()
    with pytest.raises(TrainingError, match=r"diverged at step 3 of .*the loss is inf"):
        work.advance() if more else work.state()


def test_the_rate_rises_from_a_thousandth_and_falls_to_zero() -> None:
    rates = [learning_rate_at(step, 100, 10, 0.5) for step in range(100)]
    assert rates[0] == pytest.approx(0.5 / 1000)
    assert rates[:11] == sorted(rates[:11])
    assert rates[10:] == sorted(rates[10:], reverse=True)
    assert rates[50] == pytest.approx(0.25)
    assert 0 < rates[-1] < 0.001
    assert learning_rate_at(0, 100, 0, 0.5) == 0.5  # without warm-up


def test_the_encoder_of_a_checkpoint_is_the_trained_one(images: InMemory, tmp_path: Path) -> None:
    short = replace(RECIPE, epochs=1)
    trained = pretrain(Run(short, 3, machine_in(tmp_path)), images)
    path = Run(short, 3, machine_in(tmp_path)).checkpoint
    method, recipe, seed = trained_encoder(path)
    assert (recipe, seed) == (short, 3)
    for name, value in method.state_dict().items():
        assert torch.equal(value, trained.task.method.state_dict()[name])
    with pytest.raises(TrainingError, match=r"is of recipe .*, the record of"):
        trained_encoder(path, replace(short, temperature=0.3))
    assert Recipe.of(torch.load(path, weights_only=True)["recipe"]) == short


# Settings beside the loss: a constant factor, and the penalty on the variance of negatives.

BASE = replace(SCALES["smoke"].base, num_negatives=16, warmup_epochs=0.0, weight_decay=0.0)


def weights(work: Pretraining) -> torch.Tensor:
    """All weights of the encoder in one vector."""
    parts = [each.detach().flatten() for each in work.method.encoder.parameters()]
    return torch.cat(parts)


def moved(recipe: Recipe, folder: Path) -> tuple[float, torch.Tensor]:
    """The loss of the first step, and what the step adds to all weights."""
    machine = machine_in(folder)
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
    assert similarity.grad.abs().max() < 1e-9
