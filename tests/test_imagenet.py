"""The ImageNet path, pretraining and probe, by two processes; a killed worker changes nothing."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from eqco.launch import Order, by_torchrun
from eqco.recipe import SCALES, Machine
from eqco.schedule import Job
from eqco.throughput import throughput
from eqco.tree import identity, scan
from reproductions.tables import baseline
from tests.killing import start_and_kill_a_worker
from tests.trees import write_tree

ROOT = Path(__file__).resolve().parents[1]
SAMPLE = os.environ.get("EQCO_IMAGENET_SAMPLE", "")


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Sixteen training images."""
    return write_tree(tmp_path_factory.mktemp("imagenet") / "photos", each=4)


def order_in(folder: Path, root: Path, method: str = "moco", workers: int = 1) -> Order:
    """Two steps of training and two of the probe; everything else as the scale has it."""
    full = baseline("imagenet", method, SCALES["imagenet"].base)
    recipe = replace(
        full,
        data=f"part:{identity(root)}",
        backbone="resnet18",
        image_size=32,
        batch_size=8,
        num_negatives=16 if method == "moco" else 7,
        queue_size=40 if method == "moco" else 0,
        bn_splits=2 if method == "moco" else 1,
        epochs=1,
        warmup_epochs=0.0,
        probe_epochs=1,
        knn_neighbours=3,
    )
    machine = Machine(
        threads=1,
        data_dir=root,
        checkpoints=folder / "checkpoints",
        checkpoint_seconds=0.0,
        workers=workers,
    )
    return Order(Job(recipe, 0), machine, folder / "records")


@pytest.mark.parametrize("method", ["simo", "moco"])
def test_a_killed_worker_of_two_is_resumed_with_the_same_numbers(
    method: str, tmp_path: Path, root: Path, environment: dict[str, str]
) -> None:
    whole = by_torchrun(order_in(tmp_path / "whole", root, method), 2)
    assert whole["steps"] == 2
    assert whole["machine"]["processes"] == 2
    order = order_in(tmp_path / "killed", root, method)
    start_and_kill_a_worker(order, environment)
    resumed = by_torchrun(order, 2)
    assert resumed["resumed"] == 1
    for name in ("metrics", "curve", "diagnostics"):
        assert resumed[name] == whole[name]


def test_two_processes_measure_what_one_measures(tmp_path: Path, root: Path) -> None:
    """Metrics are counts of few images, so they agree unless something else is computed."""
    float32 = [order_in(tmp_path / str(count), root, "simo", workers=0) for count in (1, 2)]
    found = []
    for count, order in enumerate(float32, start=1):
        job = Job(replace(order.job.recipe, precision="float32", epochs=0), 0)
        found.append(by_torchrun(replace(order, job=job), count)["metrics"])
    assert found[0] == found[1]


def test_throughput_names_its_rates_and_its_machine(root: Path) -> None:
    recipe = order_in(Path(), root, "simo").job.recipe
    found = throughput(recipe, scan(root), Machine(threads=1), 1)
    assert set(found["images_per_second"]) == {
        "files", "training_on_ready_views", "training", "probing",
    }  # fmt: skip
    assert all(rate > 0 for rate in found["images_per_second"].values())
    assert found["device"]
    with pytest.raises(ValueError, match="steps must be at least 1, got 0"):
        throughput(recipe, scan(root), Machine(threads=1), 0)


def test_compiled_encoders_train_to_about_the_same_loss(tmp_path: Path, root: Path) -> None:
    """aot_eager traces as torch.compile does and needs no C++ compiler."""
    from eqco.pretrain import Run

    recipe = replace(order_in(tmp_path, root, "simo").job.recipe, precision="float32")
    torch._dynamo.reset()
    losses = []
    for compiled in (False, True):
        with torch._dynamo.config.patch(suppress_errors=False):
            run = Run(recipe, 0, scan(root), Machine(threads=1, data_dir=root))
            if compiled:
                run.method.encoder.compile(backend="aot_eager")
            losses.append(run.advance())
    assert losses[0] == pytest.approx(losses[1], rel=1e-4)


@pytest.mark.skipif(not SAMPLE, reason="EQCO_IMAGENET_SAMPLE names no tree of ImageNet JPEGs")
def test_real_jpegs_give_a_finite_step_at_full_size(tmp_path: Path) -> None:
    from eqco.pretrain import Run

    base = SCALES["imagenet"].base
    root = Path(SAMPLE)
    recipe = replace(base, data=f"part:{identity(root)}", batch_size=8, num_negatives=7, epochs=1)
    run = Run(recipe, 0, scan(root), Machine(threads=2, data_dir=root, workers=2))
    assert 0 < run.advance() < 20
