"""Fake CUDA tensors: shapes and devices without numbers, on a machine without a GPU.

Only operations that touch the device are fake. What is drawn on the CPU stays real, so code may
look at it (`nonzero`, `.item()`) as it does in a run; looking at a tensor of the device ends the
mode with DataDependentOutputException, for it would make the processor wait for a GPU.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensor, FakeTensorMode, unset_fake_temporarily
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves


def touches_device(value: Any) -> bool:
    """Whether an argument is on the device, or names it."""
    named = isinstance(value, torch.device) and value.type == "cuda"
    return named or isinstance(value, FakeTensor)


class FakeCuda(TorchDispatchMode):
    """Within it, device="cuda" makes fake tensors, and an operation on two devices is an error."""

    def __init__(self) -> None:
        super().__init__()
        self.fake = FakeTensorMode(allow_non_fake_inputs=True)

    def __enter__(self) -> FakeCuda:
        self.fake.__enter__()
        super().__enter__()
        return self

    def __exit__(self, *error: Any) -> None:
        super().__exit__(*error)
        self.fake.__exit__(*error)

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        kwargs = kwargs or {}
        if any(touches_device(value) for value in tree_leaves((args, kwargs))):
            return func(*args, **kwargs)
        with unset_fake_temporarily():
            return func(*args, **kwargs)


def on_device(module: nn.Module) -> nn.Module:
    """Put fake CUDA tensors in the place of a module's parameters and buffers."""
    for part in module.modules():
        for name, value in part._parameters.items():
            if value is not None:
                made = torch.empty(value.shape, dtype=value.dtype, device="cuda")
                part._parameters[name] = nn.Parameter(made, value.requires_grad)
        for name, held in part._buffers.items():
            if held is not None:
                part._buffers[name] = torch.empty(held.shape, dtype=held.dtype, device="cuda")
    return module


def is_on_device(*tensors: Tensor) -> bool:
    """Whether all of them are on the fake device."""
    return all(each.device.type == "cuda" for each in tensors)
