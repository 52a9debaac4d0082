"""Ways to damage a checkpoint, and a run that leaves several."""

from __future__ import annotations

import struct
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from eqco.artifacts.run_files import Run
from eqco.config import Machine
from eqco.data import open_images
from eqco.engine.pretrain import pretrain
from eqco.recipe import Recipe
from reproductions.scales import SCALES

RECIPE = replace(
    SCALES["smoke"].base, data_part=0.034, epochs=2, probe_epochs=1, loss="eqco", alpha=64.0,
    num_negatives=16,
)  # 20 steps  # fmt: skip


def machine_in(folder: Path) -> Machine:
    """One thread, a checkpoint after every step."""
    return Machine(threads=1, checkpoints=folder / "checkpoints", checkpoint_seconds=0.0)


def run_in(folder: Path, recipe: Recipe = RECIPE, **settings: Any) -> Run:
    """A run with a checkpoint after every step; records and checkpoints in a folder."""
    return Run(recipe, 0, replace(machine_in(folder), **settings), folder / "records")


def sweep_in(folder: Path, *more: str) -> list[str]:
    """The words of a sweep of table 1 at scale smoke; records and checkpoints in a folder."""
    words = ["sweep", "--scale=smoke", "--parts", "tables", "--tables", "1", "--seeds", "1"]
    words += [f"--{name}={folder / name}" for name in ("records", "checkpoints")]
    return [*words, *more]


def stop_at(last: int) -> Callable[..., None]:
    """A progress function that stops a run after a step."""

    def progress(stage: str, step: int, steps: int, value: float) -> None:
        if step >= last:
            raise KeyboardInterrupt

    return progress


def train(folder: Path, until: int | None = None) -> Path:
    """Pretrain the recipe, to its end or until a step; returns the path of its checkpoint."""
    machine = machine_in(folder)
    try:
        pretrain(Run(RECIPE, 0, machine), open_images(RECIPE, 0, machine), until and stop_at(until))
    except KeyboardInterrupt:
        assert until
    return Run(RECIPE, 0, machine).checkpoint


def flip_bit(path: Path) -> None:
    """Flip one bit in the largest tensor of a checkpoint."""
    with zipfile.ZipFile(path) as archive:
        largest = max(archive.infolist(), key=lambda member: member.file_size)
    content = bytearray(path.read_bytes())
    header = content[largest.header_offset : largest.header_offset + 30]
    name, extra = struct.unpack("<HH", header[26:30])
    content[largest.header_offset + 30 + name + extra + 101] ^= 1
    path.write_bytes(content)


def edit(path: Path, change: Callable[[dict[str, Any]], None]) -> None:
    """Change a checkpoint's content; its checksums are right afterwards."""
    state = torch.load(path, weights_only=True)
    change(state)
    torch.save(state, path)


def equal(one: Any, other: Any) -> bool:
    """Whether two states are equal to the bit."""
    if isinstance(one, torch.Tensor):
        return torch.equal(one, other)
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(equal(one[name], other[name]) for name in one)
    if isinstance(one, list | tuple):
        return len(one) == len(other) and all(map(equal, one, other))
    return bool(one == other)
