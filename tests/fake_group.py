"""A group of processes of which one is there, and the operations that it asks for.

What the others would send is what this one sends. On fake CUDA tensors (`tests.fake_cuda`) a step
of one of eight GPUs can be counted on a machine without any.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor
from torch.testing._internal.distributed.fake_pg import FakeStore
from torch.utils._python_dispatch import TorchDispatchMode


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
