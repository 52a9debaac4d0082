"""Kinds 1 and 2: no damaged checkpoint is used, and the one before it is."""

from __future__ import annotations

import math
import os
import random
import shutil
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from eqco.artifacts.checkpoint import Damaged, earlier, read
from eqco.engine.run import run
from eqco.runtime.validation import TrainingError
from tests.conftest import Command
from tests.faults.damage import RECIPE, edit, equal, flip_bit, machine_in, train

State = dict[str, Any]
STEPS = 20


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The checkpoint of a finished pretraining, with the one before it."""
    return train(tmp_path_factory.mktemp("finished"))


@pytest.fixture(scope="module")
def halfway(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The checkpoint of a run stopped at step 10, with the one before it."""
    return train(tmp_path_factory.mktemp("halfway"), until=10)


def copy(path: Path, folder: Path) -> Path:
    shutil.copytree(path.parent, folder / path.parent.name)
    return folder / path.parent.name / path.name


def set_nan(state: State) -> None:
    weights = (value for name, value in state["method"].items() if name.endswith("weight"))
    next(weights).view(-1)[0] = math.nan


def infinite_momentum(state: State) -> None:
    next(iter(state["optimizer"]["state"].values()))["momentum_buffer"].view(-1)[0] = math.inf


def smaller(state: State) -> None:
    name = next(name for name in state["method"] if name.endswith("weight"))
    state["method"][name] = state["method"][name][..., :1].clone()


EDITS: dict[str, Callable[[State], None]] = {
    "step beyond the end": lambda state: state.update(step=10**6),
    "step below 0": lambda state: state.update(step=-1),
    "step of another checkpoint": lambda state: state.update(step=3),
    "step as a text": lambda state: state.update(step="3"),
    "step true": lambda state: state.update(step=True),
    "no step": lambda state: state.pop("step"),
    "no method": lambda state: state.pop("method"),
    "no optimizer": lambda state: state.pop("optimizer"),
    "no momentum": lambda state: state["optimizer"]["state"].clear(),
    "no curve": lambda state: state.pop("curve"),
    "empty curve": lambda state: state.update(curve=[]),
    "curve of texts": lambda state: state.update(curve=["ab"] * 10),
    "curve not finite": lambda state: state["curve"].__setitem__(3, (3, math.nan)),
    "no digest": lambda state: state.pop("digest"),
    "seconds below 0": lambda state: state.update(seconds=-1.0),
    "seconds not a number": lambda state: state.update(seconds=math.nan),
    "resumed as a text": lambda state: state.update(resumed="often"),
    "weight not a number": set_nan,
    "momentum infinite": infinite_momentum,
    "weight of another shape": smaller,
    "another learning momentum": lambda state: state["optimizer"]["param_groups"][0].update(
        momentum=0.1
    ),
}


@pytest.mark.parametrize("name", EDITS)
def test_content_that_no_run_can_have_is_damaged_not_diverged(
    name: str, halfway: Path, tmp_path: Path
) -> None:
    path = copy(halfway, tmp_path)
    edit(path, EDITS[name])
    earlier(path).unlink()
    with pytest.raises(TrainingError) as caught:
        train(tmp_path)
    text = str(caught.value)
    assert text.startswith(f"checkpoint {path} ")
    assert "and no earlier one is there: move it away to train" in text
    assert "learning_rate" not in text
    assert "\n" not in text


def test_a_state_that_is_no_table_is_damaged(tmp_path: Path) -> None:
    for number, state in enumerate(([1], torch.zeros(3), 7, None)):
        path = tmp_path / f"{number}.pt"
        torch.save(state, path)
        with pytest.raises(Damaged, match="must be a table, got"):
            read(path, "digest")


@pytest.mark.parametrize("when", ["finished", "halfway"])
def test_the_checkpoint_before_a_damaged_one_is_used_and_both_are_named(
    when: str, finished: Path, halfway: Path, tmp_path: Path
) -> None:
    path = copy({"finished": finished, "halfway": halfway}[when], tmp_path)
    flip_bit(path)
    torch.load(path, weights_only=True)  # torch itself does not notice
    with pytest.warns(RuntimeWarning, match="does not match its checksum") as caught:
        train(tmp_path)
    text = str(caught[0].message)
    step = {"finished": STEPS, "halfway": 10}[when] - 1
    assert f"checkpoint {path} cannot be read" in text
    assert f"continuing from the one before it, {earlier(path)}, step {step} of {STEPS}" in text
    assert path.with_suffix(".damaged.pt").exists()
    ours, whole = (torch.load(each, weights_only=True) for each in (path, finished))
    for part in ("method", "optimizer", "curve", "step"):
        assert equal(ours[part], whole[part]), part


def test_a_damaged_checkpoint_leaves_the_good_one_before_it_alone(
    halfway: Path, tmp_path: Path
) -> None:
    """The first save after a fall back must not put the damaged file in the good one's place."""
    path = copy(halfway, tmp_path)
    flip_bit(path)
    with pytest.warns(RuntimeWarning, match="continuing from the one before it"):
        train(tmp_path, until=10)
    assert (read(path)["step"], read(earlier(path))["step"]) == (10, 9)


def test_a_run_without_its_last_checkpoint_goes_on_from_the_one_before(
    halfway: Path, finished: Path, tmp_path: Path
) -> None:
    path = copy(halfway, tmp_path)
    path.unlink()
    with pytest.warns(RuntimeWarning, match="step 9 of 20"):
        train(tmp_path)
    assert equal(read(path)["method"], read(finished)["method"])


def test_two_damaged_checkpoints_are_one_sentence_that_names_both(
    halfway: Path, tmp_path: Path
) -> None:
    path = copy(halfway, tmp_path)
    for each in (path, earlier(path)):
        flip_bit(each)
    before = {each: each.read_bytes() for each in (path, earlier(path))}
    with pytest.raises(TrainingError) as caught:
        train(tmp_path)
    text = str(caught.value)
    assert str(path) in text
    assert str(earlier(path)) in text
    assert "move both away to train" in text
    assert "delete" not in text
    assert "\n" not in text
    assert {each: each.read_bytes() for each in before} == before


def test_always_training_anew_uses_no_checkpoint(finished: Path, tmp_path: Path) -> None:
    path = copy(finished, tmp_path)
    for each in (path, earlier(path)):
        flip_bit(each)
    record = run(RECIPE, 0, machine_in(tmp_path), tmp_path / "records", again=True)
    assert record.resumed == 0


@pytest.mark.parametrize("command", ["diagnose", "export"])
def test_commands_that_read_an_encoder_refuse_a_damaged_one(
    command: str, finished: Path, tmp_path: Path, run_eqco: Command
) -> None:
    path = copy(finished, tmp_path)
    words = [command, str(path), *([str(tmp_path / "out")] if command == "export" else [])]
    for damage in (lambda: flip_bit(path), lambda: edit(path, set_nan)):
        damage()
        text = run_eqco(*words, status=2)
        assert f"checkpoint {path} cannot be read" in text
        assert f"the previous one, of an earlier step, is {earlier(path)}" in text
        assert text.count("\n") == 1
        assert not (tmp_path / "out").exists()
        shutil.copy(finished, path)


def test_a_checkpoint_killed_between_its_renames_leaves_one(
    halfway: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whichever call of os.replace is the last one before a kill."""
    from eqco.artifacts import checkpoint

    for calls in range(3):
        path = copy(halfway, tmp_path / str(calls))
        state, count, replace = read(path), 0, os.replace

        def killed(*places: Any, last: int = calls, replace: Any = replace) -> None:
            nonlocal count
            if count == last:
                raise KeyboardInterrupt
            count += 1
            replace(*places)

        with monkeypatch.context() as patch:
            patch.setattr(os, "replace", killed)
            with pytest.raises(KeyboardInterrupt):
                checkpoint.save(path, {**state, "seconds": 1e6})
        whole = [each for each in (path, earlier(path)) if each.exists()]
        assert read(whole[0])["step"] == 10
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)
            train(tmp_path / str(calls))


def damaged_at_random(content: bytes, draw: random.Random) -> bytes:
    """A file with flipped bits, zeroed or overwritten blocks, cut, swapped or doubled parts."""
    kind, changed = draw.randrange(6), bytearray(content)
    place = draw.randrange(len(content))
    block = slice(place, place + draw.choice([1, 512, 4096]))
    if kind == 0:
        changed[place] ^= 1 << draw.randrange(8)
    elif kind == 1:
        changed[block] = bytes(len(changed[block]))
    elif kind == 2:
        changed[block] = draw.randbytes(len(changed[block]))
    elif kind == 3:
        del changed[place:]
    elif kind == 4:
        del changed[block]
    else:
        changed[block] = content[block] * 2
    return bytes(changed)


@pytest.mark.parametrize("count", [60, pytest.param(2000, marks=pytest.mark.long)])
def test_no_random_damage_gives_another_state(count: int, halfway: Path, tmp_path: Path) -> None:
    """Either the file is refused, or it holds what was written (padding has no meaning)."""
    draw, whole, path = random.Random(count), read(halfway), tmp_path / "damaged.pt"
    content, refused = halfway.read_bytes(), 0
    for _ in range(count):
        path.write_bytes(damaged_at_random(content, draw))
        try:
            found = read(path, "digest", "seed", "step", "method")
        except Damaged:
            refused += 1
        else:
            assert equal(found, whole)
    assert refused > 0.9 * count
