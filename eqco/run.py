"""A run from recipe to record: pretrain, probe, describe, write."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from eqco import parallel
from eqco import record as records
from eqco.checkpoint import checkpoint_path, hold
from eqco.data import Dataset, load
from eqco.diagnose import describe
from eqco.feed import Data
from eqco.pretrain import Progress, pretrain
from eqco.probe import judge
from eqco.probe_crops import judge_on_crops
from eqco.recipe import Machine, Recipe
from eqco.tree import ImageTree, open_tree


def peak_memory_mib() -> float | None:
    """Largest resident memory of this process so far, MiB; None where the system does not say."""
    try:
        import resource
    except ImportError:
        return None
    import sys

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
) -> records.Record:
    """Do a run and write its record; returns the record.

    Args:
        recipe: what to run.
        seed: of everything random in it.
        machine: where to run it.
        folder: of the records.
        progress: called after each training step.
        again: train anew even where a record or a checkpoint is there.

    Raises:
        ValueError: the data does not fit the recipe.
        TrainingError: see `eqco.pretrain.pretrain`.
    """
    with hold(recipe, seed, machine):
        if again and parallel.rank() == 0:
            checkpoint_path(recipe, seed, machine).unlink(missing_ok=True)
        # Another process may just have ended this run, so look once more.
        done = None if again else records.find(folder, recipe, seed)
        if parallel.agreed(done is None, machine.device):
            done = measured(recipe, seed, machine, progress)
            if parallel.rank() == 0:
                records.write(folder, done)
        parallel.wait()
    return done or records.find(folder, recipe, seed) or {}


def data_of(recipe: Recipe, machine: Machine) -> Data:
    """The data of a recipe: on the machine's device, or a tree of files.

    Raises:
        ValueError: the folder holds other data, or none.
    """
    if recipe.from_files:
        return open_tree(recipe.data, machine.data_dir)
    return load(recipe.data, recipe.data_part, machine.data_dir).to(machine.device)


def measured(
    recipe: Recipe, seed: int, machine: Machine, progress: Progress | None
) -> records.Record:
    """Pretrain, probe and describe: the sealed record of a run, not yet written."""
    started, clock = records.now(), time.monotonic()
    torch.set_num_threads(machine.threads)
    torch.set_flush_denormal(True)
    data = data_of(recipe, machine)
    trained = pretrain(recipe, seed, data, machine, progress)
    probe_clock = time.monotonic()
    backbone = trained.method.encoder.backbone
    if isinstance(data, ImageTree):  # all processes share the work
        metrics = judge_on_crops(backbone, data, recipe, seed, machine, progress)
    if parallel.rank() > 0:
        return {}
    if isinstance(data, Dataset):  # the first process probes for all
        metrics = judge(backbone, data, recipe, seed)
    outcome: dict[str, Any] = {
        "metrics": metrics,
        "diagnostics": describe(trained.method, recipe, seed, data),
        "curve": {"step": [s for s, _ in trained.curve], "loss": [v for _, v in trained.curve]},
        "steps": trained.steps,
        "resumed": trained.resumed,
        "seconds": {
            "train": trained.seconds,
            "probe": time.monotonic() - probe_clock,
            "wall": time.monotonic() - clock,
        },
        "peak_memory_mib": peak_memory_mib(),
        "data_fingerprint": data.fingerprint,
        "note": data.note if isinstance(data, Dataset) else "",
    }
    return records.make(recipe, seed, machine, started, **outcome)


def untrained(recipe: Recipe) -> Recipe:
    """The same backbone and probe with no pretraining at all: one record for all rows."""
    return replace(
        recipe,
        loss="infonce",
        alpha=None,
        num_negatives=recipe.batch_size - 1,
        drawing="independent",
        epochs=0,
        learning_rate=1.0,
        method="simo",
        queue_size=0,
        bn_splits=1,
        projector="bn",
        second_temperature=None,
        temperature=Recipe.temperature,
    )
