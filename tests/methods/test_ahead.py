"""Negatives drawn ahead in threads are those drawn when they are needed."""

from __future__ import annotations

import threading
from dataclasses import replace

import pytest
import torch

from eqco.artifacts.run_files import Run
from eqco.config import Machine
from eqco.data import open_images
from eqco.engine.pretrain import Pretraining
from eqco.losses import sampling
from eqco.losses.sampling import draw_few
from eqco.methods import METHODS
from eqco.methods.ahead import STEPS, Ahead
from reproductions.scales import SCALES

SHOWN = 4  # steps


def training(method: str, ahead: bool) -> Pretraining:
    """Training at the scale "smoke", with K = 2 so that few of many are drawn."""
    recipe, machine = replace(SCALES["smoke"].baseline(method), num_negatives=2), Machine(threads=1)
    work = Pretraining(Run(recipe, 0, machine), open_images(recipe, 0, machine))
    assert work.method.ahead is None  # on a CPU
    work.method.ahead = Ahead(work.coming) if ahead else None
    return work


@pytest.mark.parametrize("method", METHODS)
def test_training_is_the_same_to_the_bit_also_after_a_resume(method: str) -> None:
    plain, ahead = training(method, False), training(method, True)
    losses = [plain.advance() for _ in range(SHOWN)]
    assert [ahead.advance() for _ in range(SHOWN)] == losses
    resumed = training(method, True)
    resumed.advance()  # negatives of the steps 1 and 2 are begun, and not those of SHOWN
    resumed.step = SHOWN
    resumed.restore(ahead.state())
    further = [plain.advance() for _ in range(2)]
    assert [resumed.advance() for _ in range(2)] == further
    for name, value in plain.method.state_dict().items():
        assert torch.equal(value, resumed.method.state_dict()[name])
    for work in (ahead, resumed):  # no thread draws while the next test counts
        work.method.ahead.threads.shutdown()


def test_after_the_first_step_only_threads_draw(monkeypatch: pytest.MonkeyPatch) -> None:
    names: list[str] = []

    def noted(*given: object) -> torch.Tensor:
        names.append(threading.current_thread().name)
        return draw_few(*given)  # type: ignore[arg-type]

    monkeypatch.setattr(sampling, "draw_few", noted)
    work = training("moco", True)
    for _ in range(SHOWN):
        work.advance()
    work.method.ahead.threads.shutdown()
    main = threading.current_thread().name
    assert [name == main for name in sorted(names, key=lambda name: name != main)] == [
        True, *[False] * (SHOWN - 1 + STEPS),
    ]  # fmt: skip


def test_an_error_of_a_thread_is_the_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    main = threading.current_thread()

    def full(*given: object) -> torch.Tensor:
        if threading.current_thread() is not main:
            raise MemoryError("no room for columns")
        return draw_few(*given)  # type: ignore[arg-type]

    monkeypatch.setattr(sampling, "draw_few", full)
    work = training("simo", True)
    work.advance()
    with pytest.raises(MemoryError, match="no room for columns"):
        work.advance()


@pytest.mark.parametrize("setting", [{"num_negatives": 3}, {"drawing": "shared"}, {"draws": 2}])
def test_a_setting_that_changes_holds_from_the_next_step(setting: dict[str, object]) -> None:
    plain, ahead = training("simo", False), training("simo", True)
    for work in (plain, ahead):
        work.advance()
        for name, value in setting.items():
            setattr(work.method, name, value)
    assert [ahead.advance() for _ in range(SHOWN)] == [plain.advance() for _ in range(SHOWN)]


def test_nothing_is_begun_after_the_last_step() -> None:
    work = training("simo", True)
    work.step = work.steps - 2
    assert len(work.coming()) == 1
    work.step = work.steps - 1
    assert work.coming() == []
