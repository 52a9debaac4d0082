"""A run from recipe to record: pretrain, probe, describe, write."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from eqco.analysis.diagnosis import describe
from eqco.artifacts.environment import source
from eqco.artifacts.record import Record, now
from eqco.artifacts.run_files import Run
from eqco.config import LATER, Machine
from eqco.data import open_images
from eqco.engine.pretrain import pretrain
from eqco.engine.progress import Progress
from eqco.engine.trainer import Trainer
from eqco.evaluation import PROBES
from eqco.evaluation.features import FeatureProbe
from eqco.evaluation.linear_on_crops import CropProbe
from eqco.losses.registry import LOSSES
from eqco.methods import METHODS
from eqco.recipe import Recipe
from eqco.runtime import distributed
from eqco.runtime.memory import peak_memory_mib
from eqco.runtime.resumable import ResumableTask
from eqco.runtime.signals import catching, deferred
from eqco.runtime.validation import check_folder


def run(
    recipe: Recipe,
    seed: int,
    machine: Machine,
    folder: Path | str,
    progress: Progress | None = None,
    *,
    again: bool = False,
) -> Record | None:
    """Do a run and write its record.

    Args:
        recipe: what to run.
        seed: of everything random in it.
        machine: where to run it.
        folder: of the records.
        progress: called after each training step.
        again: train anew even where a record or a checkpoint is there.

    Returns:
        The record; None on processes other than the first.

    Raises:
        ValueError: the data does not fit the recipe.
        TrainingError: see `eqco.engine.pretrain.pretrain`.
        Stopped: by a signal; it says what is saved.
    """
    folder = check_folder("folder", folder)
    job = Run(recipe, seed, machine, folder)
    with job.hold(again=again), catching():
        # Another process may just have ended this run.
        done = None if again else Record.find(folder, recipe, seed)
        (todo,) = distributed.any_rank(done is None and distributed.rank() == 0)
        if todo:
            with settings_of_torch(machine.threads):
                done = train_and_probe(job, progress)
            if done is not None:
                with deferred():
                    done.write(folder)
        distributed.wait()
        return done if distributed.rank() == 0 else None


@contextmanager
def settings_of_torch(threads: int) -> Iterator[None]:
    """Threads, tiny numbers flushed to zero, the fastest of cuDNN's ways; afterwards as before."""
    before, chosen = torch.get_num_threads(), torch.backends.cudnn.benchmark
    tiny = torch.tensor(1e-38, dtype=torch.float32, device="cpu")
    flushed = not (tiny * 0.01).item()
    torch.set_num_threads(threads)
    torch.set_flush_denormal(True)
    torch.backends.cudnn.benchmark = True  # without effect on a CPU
    try:
        yield
    finally:
        torch.set_num_threads(before)
        torch.set_flush_denormal(flushed)
        torch.backends.cudnn.benchmark = chosen


def train_and_probe(run: Run, progress: Progress | None) -> Record | None:
    """Pretrain, probe and describe: the record of a run, not yet written; of the first process."""
    recipe, seed, machine = run.recipe, run.seed, run.machine
    started, clock = now(), time.monotonic()
    source()  # before anybody commits something else
    images = open_images(recipe, seed, machine)
    distributed.wait()  # a slow disk is no dead process
    trainer = pretrain(run, images, progress)
    trained = trainer.task
    probe_clock = time.monotonic()
    metrics, correct = dict[str, float](), dict[str, str]()
    if images.num_classes > 1:
        build: Callable[..., FeatureProbe | CropProbe] = PROBES[recipe.probe]
        probe = build(trained.method.encoder.backbone, images, recipe, seed, machine)
        if isinstance(probe, ResumableTask):
            Trainer(probe, run, run.probe_checkpoint, "probing").train(progress)
        metrics, correct = probe.metrics(), probe.correct
    if distributed.rank() > 0:
        return None
    return Record.of(
        recipe,
        seed,
        machine,
        started,
        metrics=metrics,
        diagnostics=describe(trained.method, recipe, images),
        curve={"step": [s for s, _ in trained.curve], "loss": [v for _, v in trained.curve]},
        steps=trained.steps,
        resumed=trainer.resumed,
        seconds={
            "train": trainer.seconds,
            "probe": time.monotonic() - probe_clock,
            "wall": time.monotonic() - clock,
        },
        peak_memory_mib=peak_memory_mib(),
        data_fingerprint=images.fingerprint,
        note=images.note,
        correct=correct,
    )


def untrained(recipe: Recipe) -> Recipe:
    """The same backbone and probe with no pretraining at all: one record for all rows."""
    unused: dict[str, Any] = {loss.setting: None for loss in LOSSES.values() if loss.setting}
    unused |= {name: LATER[name] for method in METHODS.values() for name in method.own_fields}
    return replace(
        recipe,
        method="simo",
        loss="infonce",
        num_negatives=recipe.batch_size - 1,
        drawing="independent",
        draws=1,
        projector="bn",
        epochs=0,
        learning_rate=1.0,
        temperature=Recipe.temperature,
        loss_scale=1.0,
        variance_penalty=0.0,
        **unused,
    )
