"""A run survives a kill: resumed, it ends with the very weights of an uninterrupted one."""

import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from eqco import record as records
from eqco.checkpoint import Busy, TrainingError, check_free, checkpoint_path
from eqco.data import Dataset, load
from eqco.pretrain import Run, pretrain
from eqco.recipe import SCALES, Machine, Recipe
from eqco.run import run

ROOT = Path(__file__).parent.parent
RECIPE = replace(SCALES["smoke"].base, loss="eqco", alpha=64.0, num_negatives=16, epochs=4)
TRAIN = """
import sys
from pathlib import Path
from dataclasses import replace
from eqco.data import load
from eqco.pretrain import pretrain
from eqco.recipe import SCALES, Machine
import time

recipe = replace(SCALES["smoke"].base, loss="eqco", alpha=64.0, num_negatives=16, epochs=4)
machine = Machine(threads=1, checkpoints=Path(sys.argv[1]), checkpoint_seconds=0.0)
pretrain(recipe, 0, load(recipe.data, recipe.data_part, Path(".")), machine,
         lambda stage, step, steps, loss: time.sleep(0.02))
"""


@pytest.fixture(scope="module")
def data() -> Dataset:
    """The smoke part of the glyphs."""
    return load(RECIPE.data, RECIPE.data_part, Path())


def machine_in(folder: Path, seconds: float = 0.0) -> Machine:
    """One thread, checkpoints in `folder` after every step."""
    return Machine(threads=1, checkpoints=folder, checkpoint_seconds=seconds)


def weights(recipe: Recipe, data: Dataset, folder: Path) -> dict[str, torch.Tensor]:
    """State of the method after pretraining."""
    return pretrain(recipe, 0, data, machine_in(folder)).method.state_dict()


def test_a_killed_run_resumes_bit_for_bit(data: Dataset, tmp_path: Path) -> None:
    whole = weights(RECIPE, data, tmp_path / "whole")
    path = checkpoint_path(RECIPE, 0, machine_in(tmp_path / "killed"))
    child = subprocess.Popen([sys.executable, "-c", TRAIN, str(path.parent)], cwd=ROOT)
    deadline = time.monotonic() + 120
    while not path.exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    time.sleep(0.3)
    child.send_signal(signal.SIGKILL)
    assert child.wait() == -signal.SIGKILL, "the run ended before it was killed"
    reached = torch.load(path, weights_only=True)["step"]
    steps = Run(RECIPE, 0, data, machine_in(tmp_path)).steps
    assert 0 < reached < steps
    resumed = pretrain(RECIPE, 0, data, machine_in(path.parent))
    assert resumed.resumed == 1
    for name, value in resumed.method.state_dict().items():
        assert torch.equal(value, whole[name]), name


def test_ctrl_c_leaves_a_state_to_go_on_from(data: Dataset, tmp_path: Path) -> None:
    whole = weights(RECIPE, data, tmp_path / "whole")

    def interrupt(stage: str, step: int, steps: int, loss: float) -> None:
        if step == 20:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        pretrain(RECIPE, 0, data, machine_in(tmp_path / "stopped"), interrupt)
    resumed = weights(RECIPE, data, tmp_path / "stopped")
    assert all(torch.equal(resumed[name], whole[name]) for name in whole)


def test_a_run_that_another_process_holds_is_refused(data: Dataset, tmp_path: Path) -> None:
    machine = machine_in(tmp_path)
    code = (
        "import sys, time; from filelock import FileLock\n"
        "with FileLock(sys.argv[1]): print('held', flush=True); time.sleep(60)"
    )
    lock = checkpoint_path(RECIPE, 0, machine).with_suffix(".lock")
    child = subprocess.Popen(
        [sys.executable, "-c", code, str(lock)], stdout=subprocess.PIPE, text=True
    )
    assert child.stdout is not None
    child.stdout.readline()
    try:
        with pytest.raises(Busy, match="is being run by another process"):
            pretrain(RECIPE, 0, data, machine)
    finally:
        child.kill()
        child.wait()
    check_free(RECIPE, 0, machine)  # a killed process lets go


def test_a_checkpoint_of_another_recipe_is_refused(data: Dataset, tmp_path: Path) -> None:
    short = replace(RECIPE, epochs=1)
    pretrain(short, 0, data, machine_in(tmp_path))
    other = replace(short, temperature=0.3)
    os.rename(
        checkpoint_path(short, 0, machine_in(tmp_path)),
        checkpoint_path(other, 0, machine_in(tmp_path)),
    )
    with pytest.raises(TrainingError, match=r"is of recipe .* this run is"):
        pretrain(other, 0, data, machine_in(tmp_path))


def test_a_damaged_checkpoint_is_named(data: Dataset, tmp_path: Path) -> None:
    path = checkpoint_path(RECIPE, 0, machine_in(tmp_path))
    path.write_bytes(b"half a file")
    with pytest.raises(TrainingError, match=r"checkpoint .* cannot be read"):
        pretrain(RECIPE, 0, data, machine_in(tmp_path))


def test_divergence_stops_says_the_step_and_keeps_a_finite_checkpoint(
    data: Dataset, tmp_path: Path
) -> None:
    wild = replace(RECIPE, learning_rate=1e30, warmup_epochs=0.0)
    with pytest.raises(TrainingError, match=r"diverged at step \d+ of \d+ .*learning_rate"):
        pretrain(wild, 0, data, machine_in(tmp_path))
    path = checkpoint_path(wild, 0, machine_in(tmp_path))
    if path.exists():
        state = torch.load(path, weights_only=True)["method"]
        assert all(torch.isfinite(v).all() for v in state.values() if v.is_floating_point())


def test_weights_that_are_not_finite_are_never_saved(data: Dataset, tmp_path: Path) -> None:
    whole = Run(RECIPE, 0, data, machine_in(tmp_path))
    whole.check_weights()
    with torch.no_grad():
        next(whole.method.encoder.parameters()).view(-1)[0] = float("nan")
    with pytest.raises(TrainingError, match="is not finite"):
        whole.check_weights()


def test_a_batch_larger_than_the_data_is_refused(data: Dataset, tmp_path: Path) -> None:
    large = replace(RECIPE, batch_size=100_000)
    with pytest.raises(TrainingError, match=r"batch_size is 100000, but the data has only \d+"):
        pretrain(large, 0, data, machine_in(tmp_path))


def test_loss_curves_of_two_runs_are_equal_and_fall(data: Dataset, tmp_path: Path) -> None:
    curves = []
    for name in ("one", "two"):
        run_ = Run(RECIPE, 0, data, machine_in(tmp_path / name))
        curves.append([run_.advance() for _ in range(20)])
    assert curves[0] == curves[1]
    assert sum(curves[0][-5:]) < sum(curves[0][:5])


def test_a_run_writes_one_record_and_again_replaces_it(tmp_path: Path) -> None:
    recipe = replace(RECIPE, epochs=1, probe_epochs=1)
    first = run(recipe, 0, machine_in(tmp_path / "c"), tmp_path / "r")
    assert records.find(tmp_path / "r", recipe, 0) == first
    assert run(recipe, 0, machine_in(tmp_path / "c"), tmp_path / "r") == first
    anew = run(recipe, 0, machine_in(tmp_path / "c"), tmp_path / "r", again=True)
    assert anew["metrics"] == first["metrics"]
    assert anew["checksum"] != first["checksum"]
