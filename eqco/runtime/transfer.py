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
        return [to_device(each, device) for each in values]
    widest_first = sorted(values, key=lambda each: -each.itemsize)  # so each begins at its multiple
    whole = torch.cat([each.flatten().view(torch.uint8) for each in widest_first])
    parts = torch.split(to_device(whole, device), [each.nbytes for each in widest_first])
    there = {
        id(each): part.view(each.dtype).view(each.shape)
        for each, part in zip(widest_first, parts, strict=True)
    }
    return [there[id(each)] for each in values]
