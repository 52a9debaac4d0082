"""Checkpoints: atomic writes, checked reads, one process per run."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from filelock import FileLock, Timeout

from eqco.checks import TrainingError
from eqco.distributed import rank
from eqco.recipe import Recipe
from eqco.runs.files import write_atomically
from eqco.settings import Machine


class Busy(TrainingError):
    """Another process is training this run."""


def save(path: Path, state: dict[str, Any]) -> None:
    """Write a checkpoint atomically."""
    write_atomically(path, lambda stream: torch.save(state, stream))


PARTS: dict[str, type] = {"digest": str, "seed": int}  # other parts are tables


def read(path: Path, *needed: str) -> dict[str, Any]:
    """A checkpoint, on the CPU.

    Args:
        path: the file.
        needed: parts that it must hold.

    Raises:
        TrainingError: the file is missing, damaged or no checkpoint.
    """
    try:
        state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    except OSError as error:
        raise TrainingError(f"checkpoint {path} cannot be read ({error.strerror})") from error
    except Exception as error:  # torch raises many types, some with messages of many lines
        reason = str(error).partition("\n")[0].partition(". ")[0]
        raise TrainingError(f"checkpoint {path} cannot be read ({reason})") from error
    for name in needed:
        if not isinstance(state, dict) or name not in state:
            raise TrainingError(f"checkpoint {path} cannot be read (it does not hold {name!r})")
        kind = PARTS.get(name, dict)
        if not isinstance(state[name], kind):
            raise TrainingError(f"checkpoint {path} cannot be read ({name} is no {kind.__name__})")
    return state


def load(path: Path, digest: str, seed: int) -> dict[str, Any]:
    """Read a checkpoint of one recipe and seed.

    Raises:
        TrainingError: the file is damaged, or belongs to another recipe or seed.
    """
    try:
        state = read(path, "digest", "seed")
    except TrainingError as error:
        raise TrainingError(f"{error}: delete it") from error
    of = (state["digest"], state["seed"])
    if of != (digest, seed):
        raise TrainingError(
            f"checkpoint {path} is of recipe {of[0]} seed {of[1]}, this run is {digest} seed "
            f"{seed}: delete it or give another --checkpoints folder"
        )
    return state


def checkpoint_path(recipe: Recipe, seed: int, machine: Machine) -> Path:
    """Path of a run's checkpoint, during training and after it."""
    return machine.checkpoints / f"{recipe.run_id(seed)}.pt"


@contextmanager
def hold(recipe: Recipe, seed: int, machine: Machine) -> Iterator[None]:
    """Lock a run against other processes; the lock of a killed process is free.

    May be nested in one process.

    Raises:
        Busy: another process holds the run.
    """
    if rank() > 0:  # the first process holds the lock for all
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
