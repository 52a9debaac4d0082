"""Embeddings from files of other programs: queries and keys of N images, D dimensions."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from eqco.losses.sampling import off_diagonal
from eqco.losses.tensors import unit
from eqco.runtime.tensor_files import check_size, load_tensors
from eqco.runtime.validation import first_line, shown

NUMPY = (".npy", ".npz")
PAIR = ("query", "key")
TEMPERATURE = 0.2  # MoCo v2's


def read_content(path: Path) -> Any:
    """What a file of numpy or torch holds: arrays, tensors or a table of them.

    Raises:
        ValueError: the file is missing, damaged or of another kind.
    """
    try:
        if path.suffix in NUMPY:
            arrays = np.load(path, allow_pickle=False)
            return arrays if path.suffix == ".npy" else dict(arrays)
        return load_tensors(path)
    except MemoryError:
        raise
    except Exception as error:  # both raise many types on damaged files
        why = getattr(error, "strerror", None) or first_line(error)
        raise ValueError(f"{path} cannot be read ({why})") from error


def checked(path: Path, name: str, values: Any) -> Tensor:
    """Embeddings (..., N, D) of length 1 in float64, or ValueError saying what is wrong."""
    try:
        embeddings = torch.as_tensor(values, device="cpu")
        if path.suffix not in NUMPY:  # whose files may be compressed
            check_size(name, embeddings, path)
        if embeddings.is_complex():
            raise TypeError("they are complex")
        embeddings = embeddings.double()
    except (TypeError, ValueError, RuntimeError) as error:
        raise ValueError(f"{path}: {name} is no array of numbers ({first_line(error)})") from error
    if embeddings.ndim < 2 or embeddings.shape[-2] < 3:
        shape = tuple(embeddings.shape)
        raise ValueError(
            f"{path}: {name} has shape {shape}: embeddings are (N, D) with N of at least 3, pairs "
            "of queries and keys (2, N, D)"
        )
    if not torch.isfinite(embeddings).all():
        raise ValueError(f"{path}: {name} holds NaN or infinity: leave such rows out")
    if not embeddings.any(dim=-1).all():
        raise ValueError(f"{path}: {name} has a row of zeros, which has no direction")
    return unit(embeddings)


def read_embeddings(path: Path) -> tuple[Tensor, Tensor | None]:
    """Queries (N, D) and keys (N, D) of length 1; None for keys that the file does not have.

    Args:
        path: .npy or .pt with shape (2, N, D) or (N, D); .npz or .pt with `query` and `key`.

    Raises:
        ValueError: the file cannot be read or holds something else.
    """
    content = read_content(path)
    if isinstance(content, dict):
        if not set(PAIR) <= set(content):
            raise ValueError(
                f"{path} holds {shown(sorted(map(str, content)))}: embeddings are an array, or the "
                "two entries query and key; weights of an encoder are no embeddings"
            )
        query, key = (checked(path, name, content[name]) for name in PAIR)
    else:
        both = checked(path, "the array", content)
        if both.ndim == 2:
            return both, None
        if both.ndim != 3 or len(both) != 2:
            raise ValueError(
                f"{path} has shape {tuple(both.shape)}: embeddings are (N, D) or (2, N, D)"
            )
        query, key = both
    if query.shape != key.shape or query.ndim != 2:
        raise ValueError(
            f"{path}: queries {tuple(query.shape)} do not pair with {tuple(key.shape)}"
        )
    return query, key


def similarities(query: Tensor, key: Tensor | None) -> tuple[Tensor, Tensor]:
    """Positive (N,) and negative (N, N - 1) cosines.

    Without keys the positives are at -1, where the loss gap is largest, so that the K found is
    enough whatever the positives are; negatives are the other queries.
    """
    cosines = query @ (query if key is None else key).T
    positive = -torch.ones_like(cosines[0]) if key is None else cosines.diagonal()
    return positive, off_diagonal(cosines)
