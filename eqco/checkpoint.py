"""Checkpoints: where they lie, written whole or not at all, read with suspicion, held by one."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from filelock import FileLock, Timeout

from eqco.parallel import rank
from eqco.recipe import Machine, Recipe


class TrainingError(RuntimeError):
    """A run cannot go on; the message says why and how to go on."""


class Busy(TrainingError):
    """Another process is training this run."""


def save(path: Path, state: dict[str, Any]) -> None:
    """Write a checkpoint whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as stream:
            torch.save(state, stream)
            stream.flush()
            os.fsync(stream.fileno())
        os.replace(temporary, path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def load(path: Path, digest: str, seed: int) -> dict[str, Any]:
    """Read a checkpoint of this very recipe and seed.

    Raises:
        TrainingError: the file is damaged, or belongs to another recipe or seed.
    """
    try:
        state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
        of = (state["digest"], state["seed"])
    except Exception as error:
        raise TrainingError(f"checkpoint {path} cannot be read ({error}): delete it") from error
    if of != (digest, seed):
        raise TrainingError(
            f"checkpoint {path} is of recipe {of[0]} seed {of[1]}, this run is {digest} seed "
            f"{seed}: delete it or give another --checkpoints folder"
        )
    return state


def checkpoint_path(recipe: Recipe, seed: int, machine: Machine) -> Path:
    """Where a run's checkpoint lies, during training and after it."""
    return machine.checkpoints / f"{recipe.run_id(seed)}.pt"


@contextmanager
def hold(recipe: Recipe, seed: int, machine: Machine) -> Iterator[None]:
    """Keep other processes off a run; a killed process lets go. May be nested in one process.

    Raises:
        Busy: another process holds the run.
    """
    if rank() > 0:  # the first process holds it for all
        yield
        return
    path = checkpoint_path(recipe, seed, machine).with_suffix(".lock")
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(path, timeout=0, is_singleton=True):
            yield
    except Timeout as error:
        raise Busy(
            f"{path.stem} is being run by another process: wait for it, or stop it"
        ) from error


def check_free(recipe: Recipe, seed: int, machine: Machine) -> None:
    """Raise Busy where another process holds a run."""
    with hold(recipe, seed, machine):
        return
