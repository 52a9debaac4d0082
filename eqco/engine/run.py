"""A run from recipe to record: pretrain, probe, describe, write."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from eqco.analysis.diagnosis import describe
from eqco.artifacts.checkpoint import checkpoint_path, earlier, forget, hold
from eqco.artifacts.record import Record, now, record_path
from eqco.config import LATER, Machine
from eqco.data import Images, open_images
from eqco.engine.pretrain import pretrain
from eqco.engine.progress import Progress
from eqco.engine.trainer import Loop
from eqco.evaluation import PROBES
from eqco.evaluation.features import FeatureProbe
from eqco.evaluation.linear_on_crops import CropProbe
from eqco.losses.registry import LOSSES
from eqco.methods import METHODS
from eqco.methods.base import Method
from eqco.recipe import Recipe
from eqco.runtime import distributed
from eqco.runtime.files import remove_temporary
from eqco.runtime.resumable import ResumableTask
from eqco.runtime.signals import Stopped, catching, deferred


@dataclass(frozen=True)
class Job:
    """A recipe to be run with a seed."""

    recipe: Recipe
    seed: int

    @property
    def run_id(self) -> str:
        """Name of the run."""
        return self.recipe.run_id(self.seed)


def peak_memory_mib() -> float | None:
    """Largest resident memory of this process so far, MiB; None where the system does not say."""
    try:
        import resource
    except ImportError:  # Windows
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (2**20 if sys.platform == "darwin" else 2**10)


def run(
    recipe: Recipe,
    seed: int,
    machine: Machine,
    folder: Path,
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
    try:
        with catching(), hold(recipe, seed, machine):
            return obtain(recipe, seed, machine, folder, progress, again=again)
    except Stopped as stop:
        raise Stopped(stop.number, stop.kept or kept(recipe, seed, machine, folder)) from stop


def kept(recipe: Recipe, seed: int, machine: Machine, folder: Path) -> str:
    """What is on the disk of a run that was stopped, in words."""
    name, path = recipe.run_id(seed), checkpoint_path(recipe, seed, machine)
    if record_path(folder, recipe, seed).exists():
        return f"{name} is done and has its record"
    if path.exists() or earlier(path).exists():
        return f"the checkpoint of {name} is kept"
    return f"{name} had no checkpoint yet and begins anew"


def obtain(
    recipe: Recipe,
    seed: int,
    machine: Machine,
    folder: Path,
    progress: Progress | None,
    *,
    again: bool,
) -> Record | None:
    """`run` for a process that holds the run."""
    if distributed.rank() == 0:
        remove_temporary(record_path(folder, recipe, seed))
    if again and distributed.rank() == 0:
        forget(recipe, seed, machine)
    # Another process may just have ended this run.
    done = None if again else Record.find(folder, recipe, seed)
    if distributed.broadcast_flag(done is None, machine.device):
        done = measured(recipe, seed, machine, progress)
        if done is not None:
            with deferred():
                done.write(folder)
    distributed.wait()
    return done if distributed.rank() == 0 else None


def probed(
    method: Method,
    images: Images,
    recipe: Recipe,
    seed: int,
    machine: Machine,
    progress: Progress | None,
) -> tuple[dict[str, float], dict[str, str]]:
    """Every metric of the recipe's probe, percent, and `Record.correct`; none without labels."""
    if images.num_classes < 2:
        return {}, {}
    build: Callable[..., FeatureProbe | CropProbe] = PROBES[recipe.probe]
    probe = build(method.encoder.backbone, images, recipe, seed, machine)
    path = checkpoint_path(recipe, seed, machine).with_suffix(".probe.pt")
    if isinstance(probe, ResumableTask):
        Loop(probe, recipe, seed, machine, path, "probing").run(progress)
    return probe.metrics(), probe.correct


def measured(
    recipe: Recipe, seed: int, machine: Machine, progress: Progress | None
) -> Record | None:
    """Pretrain, probe and describe: the record of a run, not yet written; of the first process."""
    started, clock = now(), time.monotonic()
    torch.set_num_threads(machine.threads)
    torch.set_flush_denormal(True)
    images = open_images(recipe, seed, machine)
    trained = pretrain(recipe, seed, images, machine, progress)
    probe_clock = time.monotonic()
    metrics, correct = probed(trained.method, images, recipe, seed, machine, progress)
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
        resumed=trained.resumed,
        seconds={
            "train": trained.seconds,
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
    unused |= {name: LATER[name] for each in METHODS.values() for name in each.own_fields}
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
