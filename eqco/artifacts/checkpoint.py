"""Checkpoints: atomic writes, verified reads, the one before the last kept."""

from __future__ import annotations

import io
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from eqco.runtime.files import write_atomically
from eqco.runtime.tensor_files import check_size, load_tensors
from eqco.runtime.validation import Table, TrainingError, first_line, lacks_memory


class Damaged(TrainingError):
    """A checkpoint cannot be read, or holds something else than what was saved."""


def is_checkpoint(content: Any) -> bool:
    """Whether what was read is a checkpoint of this suite, rather than weights or embeddings."""
    return isinstance(content, dict) and "method" in content and "digest" in content


def earlier(path: Path) -> Path:
    """Where the checkpoint before the last one is kept: `RUN.previous.pt` for `RUN.pt`."""
    return path.with_suffix(f".previous{path.suffix}")


def set_aside(path: Path) -> Path:
    """Rename a damaged checkpoint to `RUN.damaged.pt`; returns that path."""
    aside = path.with_suffix(f".damaged{path.suffix}")
    os.replace(path, aside)
    return aside


def unfinished(path: Path) -> Path:
    """Where a checkpoint is written before it takes the last one's place: `RUN.new.pt`."""
    return path.with_suffix(f".new{path.suffix}")


def write_tensors(path: Path, content: dict[str, Any]) -> None:
    """Write what `torch.save` makes of a table, atomically."""
    buffer = io.BytesIO()
    torch.save(content, buffer)
    write_atomically(path, buffer.getvalue())


def save(path: Path, state: dict[str, Any]) -> None:
    """Write a checkpoint atomically, and keep the one before it.

    At every moment, one of both files is whole: a process killed between the two renames leaves
    the earlier one.
    """
    new = unfinished(path)
    write_tensors(new, state)
    if path.exists():
        os.replace(path, earlier(path))
    os.replace(new, path)


PARTS: dict[str, type] = {"digest": str, "seed": int, "step": int}  # other parts are tables
UNSEEN = "averages"  # the part whose entries of images not seen yet are infinite


def floats(value: Any, name: str) -> Iterator[tuple[str, Tensor]]:
    """Floating-point tensors in nested tables and lists, with their names."""
    if torch.is_tensor(value):
        if value.is_floating_point():
            yield name, value
        return
    pairs = value.items() if hasattr(value, "items") else ()
    pairs = enumerate(value) if type(value) in (list, tuple) else pairs
    for key, inner in pairs:
        yield from floats(inner, f"{name}.{key}" if name else str(key))


def check_finite(state: Any, path: Path) -> None:
    """Raise ValueError where a state holds a number that is not finite, or more than its file."""
    for name, tensor in floats(state, ""):
        check_size(name, tensor, path)
        allowed = torch.isposinf(tensor) if name.startswith(UNSEEN) else False
        if not (torch.isfinite(tensor) | allowed).all():
            raise ValueError(f"{name} is not finite")


def read(path: Path, *needed: str) -> dict[str, Any]:
    """A checkpoint with the parts that are needed, on the CPU; all that is read is checked.

    Raises:
        Damaged: the file is missing, does not match its checksums, is no checkpoint, lacks a part,
            or holds a weight that is not finite.
    """
    try:
        state: dict[str, Any] = load_tensors(path, sealed=True)
        if needed:
            kinds = {name: PARTS.get(name, dict) for name in needed}
            Table(kinds, needed=needed, others=object).check("", state)
        check_finite(state, path)
    except Exception as error:  # torch and zipfile raise many types
        if lacks_memory(error):
            raise MemoryError(f"checkpoint {path} is too large") from error
        reason = getattr(error, "strerror", None) or first_line(error)
        raise Damaged(f"checkpoint {path} cannot be read ({reason})") from error
    return state


def read_trained(path: Path, *needed: str) -> dict[str, Any]:
    """`read` for those who use an encoder; the error names the earlier checkpoint, where one is.

    Raises:
        Damaged: see `read`.
    """
    try:
        return read(path, *needed)
    except Damaged as error:
        if not earlier(path).exists():
            raise
        last = f"the previous one, of an earlier step, is {earlier(path)}"
        raise Damaged(f"{error}; {last}") from error


def load(path: Path, digest: str, seed: int) -> dict[str, Any]:
    """Read a checkpoint of one recipe and seed.

    Raises:
        Damaged: see `read`.
        TrainingError: it belongs to another recipe or seed.
    """
    state = read(path, "digest", "seed")
    saved = (state["digest"], state["seed"])
    if saved != (digest, seed):
        raise TrainingError(
            f"checkpoint {path} is of recipe {saved[0]} seed {saved[1]}, this run is {digest} seed "
            f"{seed}: move it away or give another --checkpoints folder"
        )
    return state
