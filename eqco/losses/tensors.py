"""Length, precision and checks of the tensors that losses take. N queries, D dimensions."""

from __future__ import annotations

import math
from contextlib import AbstractContextManager, nullcontext

import torch
import torch.nn.functional as F
from torch import Tensor

from eqco.runtime.validation import check_temperature


def unit(embedding: Tensor) -> Tensor:
    """Embeddings of length 1 along the last dimension, float32 or wider, also under autocast."""
    embedding = embedding.to(wide(embedding.dtype))
    norm: Tensor = torch.linalg.vector_norm(embedding, dim=-1, keepdim=True)
    if can_be_read(norm) and bool(((norm > 1e-12) & (norm < 1e12)).all()):
        return embedding / norm
    return F.normalize(of_usual_length(embedding), dim=-1)


def of_usual_length(embedding: Tensor) -> Tensor:
    """Embeddings whose squared length does not leave the range of their type; most are unchanged.

    A row of zeros stays one, without gradient: normalised, its gradient would be huge.
    """
    largest = embedding.detach().abs().amax(dim=-1, keepdim=True)
    usual = (largest > 1e-12) & (largest < 1e12)
    scale = torch.where(usual, 1.0, torch.where(largest > 0, largest, math.inf))
    return embedding / scale


def can_be_read(values: Tensor) -> bool:
    """Whether numbers may decide what is done: on a CPU, outside torch.compile and torch.vmap.

    A GPU would be waited for at every step.
    """
    if torch.compiler.is_compiling() or values.device.type != "cpu":
        return False
    return not torch._C._functorch.is_batchedtensor(values)


def check_finite(values: Tensor, name: str) -> None:
    """Raise ValueError where a tensor that can be read holds NaN or infinity."""
    if can_be_read(values) and not torch.isfinite(values).all():
        raise ValueError(f"{name} holds NaN or infinite values")


def wide(dtype: torch.dtype) -> torch.dtype:
    """float32 for narrower types, float64 for float64."""
    return torch.promote_types(dtype, torch.float32)


def full_precision(like: Tensor) -> AbstractContextManager[object]:
    """A context without autocast, on the device of a tensor."""
    device = like.device.type
    if torch.amp.is_autocast_available(device) and torch.is_autocast_enabled(device):
        return torch.autocast(device, enabled=False)
    return nullcontext()  # entering autocast costs 10 microseconds


def temperature_of(value: float | Tensor, name: str = "temperature") -> float | Tensor:
    """Return a softmax temperature; a tensor of shape () keeps its gradient.

    Raises:
        ValueError: it is not positive, or too small for cosines over it to stay in float32.
    """
    if not isinstance(value, Tensor):
        return check_temperature(value, name)
    if value.ndim or not value.is_floating_point():
        raise ValueError(
            f"{name} must be one number, a tensor of shape () and a floating type, got shape "
            f"{tuple(value.shape)} of {value.dtype}"
        )
    if can_be_read(value):
        check_temperature(float(value.detach()), name)
    return value


def check_embeddings(query: Tensor, key: Tensor, least: int = 2) -> None:
    """Raise ValueError where these are not the embeddings of two views of enough images."""
    check_tensors(query, key)
    if query.ndim != 2 or query.shape != key.shape or len(query) < least or query.shape[1] < 1:
        raise ValueError(
            f"the embeddings of both views must have the same shape (N, D) with N >= {least}, got "
            f"{tuple(query.shape)} and {tuple(key.shape)}"
            + (": one image has no others as negatives, leave such a batch out" * (len(query) == 1))
        )


def check_tensors(*values: object) -> None:
    """Raise ValueError where these are no ordinary tensors of real numbers, on one device."""
    for value in values:
        if not isinstance(value, Tensor):
            raise ValueError(f"expected a tensor of numbers, got {type(value).__name__}")
        if not value.is_floating_point():
            raise ValueError(f"expected real floating-point numbers, got {value.dtype}")
        if value.is_nested or value.layout != torch.strided:
            kind = "a nested tensor" if value.is_nested else f"one of {value.layout}"
            raise ValueError(f"expected an ordinary tensor, got {kind}: make it dense")
        if value.dtype.itemsize < 2:
            raise ValueError(f"expected numbers of 16 bits at least, got {value.dtype}")
    places = {str(value.device): None for value in values if isinstance(value, Tensor)}
    if len(places) > 1:
        raise ValueError(f"expected tensors on one device, got {' and '.join(places)}")
