"""Pretraining and probe on image files by two processes; a killed one changes no number.

What nobody disturbs reads its images in workers, the others by themselves.
"""

from __future__ import annotations

import os
import signal
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from eqco.artifacts.record import Record
from eqco.artifacts.run_files import Run
from eqco.config import Machine
from eqco.data.image_folder import identity, scan
from eqco.data.streaming import FromFiles
from eqco.engine.launchers import by_torchrun, do_shared, torchrun_command
from eqco.engine.pretrain import Pretraining
from eqco.recipe import Recipe
from reproductions.scales import SCALES
from tests.processes import start, torchrun, wait_until
from tests.trees import files_recipe

SAMPLE = os.environ.get("EQCO_IMAGENET_SAMPLE", "")


def order_in(folder: Path, root: Path, recipe: Recipe, workers: int = 0) -> Run:
    """Two steps of training and two of the probe, with a checkpoint after each."""
    machine = Machine(
        threads=1, data_dir=root, checkpoints=folder / "checkpoints", checkpoint_seconds=0.0,
        workers=workers,
    )  # fmt: skip
    return Run(recipe, 0, machine, folder / "records")


def recipes(root: Path) -> dict[str, Recipe]:
    """MoCo, whose queue is a state too, as the scale has it; an untrained encoder in float32."""
    untrained = replace(files_recipe(root), precision="float32", epochs=0)
    return {"moco": files_recipe(root, "moco"), "untrained": untrained}


@pytest.fixture(scope="module")
def uninterrupted(
    sixteen_images: Path, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Record]:
    """Records of two processes that nobody disturbed, of each recipe; one launch for all."""
    folder = tmp_path_factory.mktemp("uninterrupted")
    orders = {
        name: order_in(folder, sixteen_images, recipe, workers=1)
        for name, recipe in recipes(sixteen_images).items()
    }
    torchrun("tests.programs.run_orders", *(order.write_job() for order in orders.values()))
    records = {name: order.record() for name, order in orders.items()}
    for record in records.values():
        assert (record.machine["processes"], record.resumed) == (2, 0)
    return records


def start_and_kill_a_worker(order: Run) -> None:
    """Start a run under torchrun and send SIGKILL to one process after the first checkpoint."""
    command = torchrun_command(order.write_job(), 2)
    launched = start(*command[1:], stdout=subprocess.DEVNULL)
    wait_until(order.checkpoint.exists)
    workers = Path(f"/proc/{launched.pid}/task/{launched.pid}/children").read_text().split()
    os.kill(int(workers[-1]), signal.SIGKILL)
    assert launched.wait(timeout=120) != 0
    assert order.record() is None, "the run ended before a worker was killed"


def test_a_killed_worker_of_two_is_resumed_with_the_same_numbers(
    tmp_path: Path, sixteen_images: Path, uninterrupted: dict[str, Record]
) -> None:
    order = order_in(tmp_path, sixteen_images, recipes(sixteen_images)["moco"])
    whole = uninterrupted["moco"]
    assert whole.steps == 2
    start_and_kill_a_worker(order)
    resumed = by_torchrun(order, 2)
    assert resumed.resumed == 1
    for part in ("metrics", "curve", "diagnostics"):
        assert getattr(resumed, part) == getattr(whole, part)


def test_two_processes_measure_what_one_measures(
    tmp_path: Path, sixteen_images: Path, uninterrupted: dict[str, Record]
) -> None:
    """Metrics are counts of few images, so they agree unless something else is computed."""
    one = do_shared(order_in(tmp_path, sixteen_images, recipes(sixteen_images)["untrained"]))
    assert one.machine["processes"] == 1
    assert one.metrics == uninterrupted["untrained"].metrics


def test_compiled_encoders_train_to_about_the_same_loss(sixteen_images: Path) -> None:
    """aot_eager traces as torch.compile does and needs no C++ compiler."""
    recipe = replace(files_recipe(sixteen_images), precision="float32")
    images, machine = scan(sixteen_images), Machine(threads=1, data_dir=sixteen_images)
    torch._dynamo.reset()
    losses = []
    for compiled in (False, True):
        with torch._dynamo.config.patch(suppress_errors=False):
            work = Pretraining(Run(recipe, 0, machine), FromFiles(images, recipe, 0, machine))
            if compiled:
                work.method.encoder.compile(backend="aot_eager")
            losses.append(work.advance())
    assert losses[0] == pytest.approx(losses[1], rel=1e-4)


@pytest.mark.skipif(not SAMPLE, reason="EQCO_IMAGENET_SAMPLE names no tree of ImageNet JPEGs")
def test_real_jpegs_give_a_finite_step_at_full_size() -> None:
    root = Path(SAMPLE)
    base, data = SCALES["imagenet"].base, f"part:{identity(root)}"
    recipe = replace(base, data=data, batch_size=8, num_negatives=7, epochs=1)
    machine = Machine(threads=2, data_dir=root, workers=2)
    work = Pretraining(Run(recipe, 0, machine), FromFiles(scan(root), recipe, 0, machine))
    assert 0 < work.advance() < 20
