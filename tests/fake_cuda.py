"""Fake CUDA tensors: shapes and devices without numbers, on a machine without a GPU; fake groups.

Only operations that touch the device are fake. What is drawn on the CPU stays real, so code may
look at it (`nonzero`, `.item()`) as it does in a run; looking at a tensor of the device would make
the processor wait for a GPU and raises `Waits`.
"""

from __future__ import annotations

import traceback
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch._subclasses.fake_tensor import (
    DataDependentOutputException,
    DynamicOutputShapeException,
    FakeTensor,
    FakeTensorMode,
    unset_fake_temporarily,
)
from torch.testing._internal.distributed.fake_pg import FakeStore
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

import eqco

PACKAGE = Path(eqco.__path__[0])
aten = torch.ops.aten
COPIES = {aten._to_copy.default, aten.copy_.default}
NO_LAUNCHES = {
    torch.ops.prim.device.default, aten.empty.memory_format, aten.empty_like.default,
    aten.empty_strided.default, aten.new_empty.default, aten.new_empty_strided.default,
}  # fmt: skip


def place() -> str:
    """Where the package called what is being done, or ""."""
    stack = traceback.extract_stack()
    ours = [frame for frame in stack if PACKAGE in Path(frame.filename).parents]
    return f" at {ours[-1].filename}:{ours[-1].lineno}: {ours[-1].line}" if ours else ""


class Waits(RuntimeError):
    """The processor would wait for the device."""

    def __init__(self, why: str) -> None:
        super().__init__(why + place())


def touches_device(value: Any) -> bool:
    """Whether an argument is on the device, or names it."""
    named = isinstance(value, torch.device) and value.type == "cuda"
    return named or isinstance(value, FakeTensor)


def on_cpu(value: Any) -> bool:
    return isinstance(value, Tensor) and not isinstance(value, FakeTensor)


class FakeCuda(TorchDispatchMode):
    """Within it, device="cuda" makes fake tensors, and an operation on two devices is an error.

    Attributes:
        may_wait: whether data may go to the device or come from it by a copy that waits.
        has_float64: whether the device knows the type; MPS does not.
        launches: operations of the device by name, without views and memory that is not filled.
    """

    def __init__(self) -> None:
        super().__init__()
        self.fake = FakeTensorMode(allow_non_fake_inputs=True)
        self.may_wait = self.has_float64 = True
        self.launches: Counter[str] = Counter()
        self.pinned: dict[int, Tensor] = {}  # by the address of their memory

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
        if func is aten._pin_memory.default:
            return self.pin(args[0])
        if not any(touches_device(value) for value in tree_leaves((args, kwargs))):
            with unset_fake_temporarily():
                return func(*args, **kwargs)
        if not self.may_wait:
            self.check(func, args, kwargs)
        if not func.is_view and func not in NO_LAUNCHES:
            self.launches[func.__name__] += 1
        try:
            result = func(*args, **kwargs)
        except (DataDependentOutputException, DynamicOutputShapeException) as error:
            raise Waits(f"{func} reads the device") from error
        self.check_types(result)
        return result

    def pin(self, values: Tensor) -> Tensor:
        """A copy that counts as page-locked."""
        with unset_fake_temporarily():
            made = values.clone()
        self.pinned[made.untyped_storage().data_ptr()] = made
        return made

    def check(self, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """Raise Waits where CUDA would copy and wait for it."""
        if func in COPIES:
            target = kwargs.get("device") or args[0].device
            if target.type == "cpu":
                raise Waits("a copy to the CPU")
            source = args[0] if func is aten._to_copy.default else args[1]
            if on_cpu(source) and not self.runs_ahead(source, kwargs):
                raise Waits("a copy to the device that is not of pinned memory and non_blocking")
        elif func.__name__.startswith("index") and any(map(on_cpu, tree_leaves(args))):
            raise Waits("an index or value on the CPU")

    def runs_ahead(self, source: Tensor, kwargs: dict[str, Any]) -> bool:
        """Whether a copy of a CPU tensor is a mere transfer of pinned memory."""
        pinned = source.untyped_storage().data_ptr() in self.pinned
        same = kwargs.get("dtype") in (None, source.dtype)
        return pinned and source.is_contiguous() and same and bool(kwargs.get("non_blocking"))

    def check_types(self, result: Any) -> None:
        """Raise TypeError where the device does not know a type."""
        tensors = [each for each in tree_leaves(result) if isinstance(each, FakeTensor)]
        types = {each.dtype for each in tensors if each.device.type == "cuda"}
        if torch.float64 in types and not self.has_float64:
            raise TypeError("the device has no float64" + place())


@contextmanager
def autocast(dtype: torch.dtype) -> Iterator[None]:
    """As `torch.autocast` on the device, which switches itself off where there is no GPU."""
    torch.set_autocast_dtype("cuda", dtype)
    torch.set_autocast_enabled("cuda", True)
    try:
        yield
    finally:
        torch.set_autocast_enabled("cuda", False)
        torch.clear_autocast_cache()


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
    return all(each.device.type == "cuda" for each in tensors)


# A group of processes of which one is there: what the others would send is what this one sends. On
# fake CUDA tensors a step of one of eight GPUs can be counted.


@contextmanager
def group_of(processes: int) -> Iterator[None]:
    """This process is the first of some."""
    dist.init_process_group("fake", rank=0, world_size=processes, store=FakeStore())
    try:
        yield
    finally:
        dist.destroy_process_group()


class Counted(TorchDispatchMode):
    """Counts operations by name; entered after `FakeCuda`, whose tensors it sees.

    Attributes:
        found: "aten.add", "c10d.allreduce_" and how often.
    """

    def __init__(self) -> None:
        super().__init__()
        self.found: Counter[str] = Counter()

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        self.found[str(func.overloadpacket)] += 1
        return func(*args, **(kwargs or {}))

    @property
    def collectives(self) -> dict[str, int]:
        """Those that processes do together."""
        return {
            name.removeprefix("c10d."): count
            for name, count in self.found.items()
            if name.startswith("c10d.")
        }


# Operations of batch norm on a GPU for which torch has no fake ones.


@torch.library.register_fake("aten::batch_norm_stats")  # type: ignore[untyped-decorator]
def stats(images: Tensor, eps: float) -> tuple[Tensor, Tensor]:
    mean = images.new_empty(images.shape[1], dtype=torch.float32)
    return mean, torch.empty_like(mean)


@torch.library.register_fake("aten::batch_norm_gather_stats_with_counts")  # type: ignore[untyped-decorator]
def gathered_stats(images: Tensor, mean: Tensor, *_: Any) -> tuple[Tensor, Tensor]:
    return mean.new_empty(mean.shape[1]), mean.new_empty(mean.shape[1])


@torch.library.register_fake("aten::batch_norm_elemt")  # type: ignore[untyped-decorator]
def normalised(images: Tensor, *_: Any) -> Tensor:
    return torch.empty_like(images)
