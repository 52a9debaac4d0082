"""Copies of small CPU tensors to a device that the processor does not wait for.

Random numbers and indices are made on the CPU. `Tensor.to("cuda")` of them waits until the GPU has
done all that was asked of it before, so the processor could never run ahead.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor


def to_device(values: Tensor, device: torch.device) -> Tensor:
    """Values on a device; to CUDA they go from pinned memory, without waiting."""
    if device.type != "cuda" or values.device.type != "cpu":
        return values.to(device)
    return values.contiguous().pin_memory().to(device, non_blocking=True)


def all_to_device(values: Sequence[Tensor], device: torch.device) -> list[Tensor]:
    """Several tensors on a device; to CUDA they go in one copy."""
    if device.type != "cuda":
        return [to_device(tensor, device) for tensor in values]
    # The widest type first, so that each tensor begins at a multiple of its type's size.
    order = sorted(range(len(values)), key=lambda place: -values[place].itemsize)
    tensors = [values[place] for place in order]
    whole = torch.cat([tensor.flatten().view(torch.uint8) for tensor in tensors])
    parts = torch.split(to_device(whole, device), [tensor.nbytes for tensor in tensors])
    copies = list(values)
    for place, tensor, part in zip(order, tensors, parts, strict=True):
        copies[place] = part.view(tensor.dtype).view(tensor.shape)
    return copies
