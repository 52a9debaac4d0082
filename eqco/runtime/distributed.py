"""Training by several processes: each holds n of the N images of a batch; one process, n = N.

Every rank draws the random numbers of the whole batch and uses those of its own part, so W
processes compute what one process computes on the same batch.
"""

from __future__ import annotations

import gc
import os
import sys
import traceback
from datetime import timedelta
from importlib import import_module
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn

MINUTES = 10  # until a process that does not answer is taken for dead; `wait` has no such limit


def world_size() -> int:
    """Number of processes that train together; 1 where none were started."""
    return dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1


def rank() -> int:
    """Number of this process, 0 .. world_size() - 1."""
    return dist.get_rank() if world_size() > 1 else 0


def first_index(count: int) -> int:
    """Place in the whole batch of the first of this process's `count` images."""
    return rank() * count


# torch 2.14 renames the function, 2.9 needs the old name.
all_gather = getattr(dist, "all_gather_single", None) or dist.all_gather_into_tensor


def concatenated(local: Tensor) -> Tensor:
    """All ranks' tensors of one shape, (n, ...) -> (N, ...), no gradient."""
    whole = local.new_empty((world_size() * len(local), *local.shape[1:]))
    all_gather(whole, local.contiguous())
    return whole


class Gather(torch.autograd.Function):
    """All ranks' tensors, concatenated; the gradient is summed over the ranks."""

    @staticmethod
    def forward(ctx: Any, local: Tensor) -> Tensor:
        """(n, ...) -> (N, ...); images stay in channels_last.

        A backend is given contiguous tensors alone: with others, what it does has changed between
        versions of torch.
        """
        if local.ndim == 4:
            return concatenated(local.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)
        return concatenated(local)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        """(N, ...) -> (n, ...): every rank's loss depends on this rank's part."""
        gradient = gradient.contiguous()
        dist.all_reduce(gradient)
        return gradient.chunk(world_size())[rank()]


def check_same_shape(local: Tensor) -> None:
    """Raise ValueError, on every rank, where the ranks' tensors differ in shape.

    gloo would end the processes without a word. On a GPU the check would wait for it.
    """
    if local.device.type != "cpu" or torch.compiler.is_compiling():
        return
    sizes = torch.tensor([*local.shape, *[-1] * (8 - local.ndim)], device="cpu")
    parts = [torch.empty_like(sizes) for _ in range(world_size())]
    dist.all_gather(parts, sizes)
    shapes = [tuple(size for size in part.tolist() if size >= 0) for part in parts]
    if len(set(shapes)) > 1:
        listed = ", ".join(map(str, shapes))
        raise ValueError(
            f"the processes bring tensors of shapes {listed}: they must have batches of one size, "
            "as drop_last=True gives them"
        )


def gather(local: Tensor) -> Tensor:
    """All ranks' tensors (N, ...) from each rank's (n, ...), with gradient.

    Raises:
        ValueError: see `check_same_shape`.
    """
    if world_size() == 1:
        return local
    check_same_shape(local)
    return Gather.apply(local)  # type: ignore[no-any-return]


def summed(local: Tensor) -> Tensor:
    """The sum of all ranks' tensors, on every rank; no gradient."""
    total = local.detach().clone()
    dist.all_reduce(total)
    return total


class Sum(torch.autograd.Function):
    """Sum over the ranks, of the value and of its gradient."""

    @staticmethod
    def forward(ctx: Any, local: Tensor) -> Tensor:
        return summed(local)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        return summed(gradient)


def mean_over_ranks(value: Tensor) -> Tensor:
    """Mean of a tensor over the ranks, no gradient."""
    return summed(value) / world_size() if world_size() > 1 else value


def gather_uneven(local: Tensor) -> Tensor:
    """All ranks' tensors of different lengths, concatenated; no gradient."""
    if world_size() == 1:
        return local
    wait()  # more of them may have taken longer
    counts = concatenated(torch.tensor([len(local)], device="cpu")).tolist()
    padded = local.new_zeros((max(counts), *local.shape[1:]))
    padded[: len(local)] = local
    parts = concatenated(padded).chunk(len(counts))
    return torch.cat([part[:count] for part, count in zip(parts, counts, strict=True)])


def wait() -> None:
    """Return when every process has called this, however long one of them works alone."""
    if world_size() > 1:
        assert dist.group.WORLD is not None
        options = dist.BarrierOptions()
        options.timeout, options.device = timedelta(days=7), torch.device("cpu")
        dist.group.WORLD.barrier(options).wait()


def any_rank(*flags: bool) -> tuple[bool, ...]:
    """Whether each flag is set on any process, on every process; no GPU is asked."""
    if world_size() == 1:
        return flags
    counts = torch.tensor(flags, dtype=torch.uint8, device="cpu")
    dist.all_reduce(counts, dist.ReduceOp.MAX)
    return tuple(map(bool, counts.tolist()))


@torch.no_grad()
def average_buffers(module: nn.Module) -> None:
    """Replace running statistics by their mean over the ranks: all ranks then hold one encoder."""
    if world_size() == 1:
        return
    buffers = [buffer for buffer in module.buffers() if buffer.is_floating_point()]
    mean = mean_over_ranks(torch.cat([buffer.flatten() for buffer in buffers]))
    parts = torch.split(mean, [buffer.numel() for buffer in buffers])
    for buffer, part in zip(buffers, parts, strict=True):
        buffer.copy_(part.view_as(buffer))


def start(device: str) -> str:
    """Join the processes that torchrun started, where it did; returns this process's device."""
    if "RANK" not in os.environ or not dist.is_available() or dist.is_initialized():
        return device
    if device.startswith("cuda"):
        device = f"cuda:{os.environ.get('LOCAL_RANK', '0')}"
        torch.cuda.set_device(device)
    backend = "cpu:gloo,cuda:nccl" if device.startswith("cuda") else "gloo"
    # DistributedDataParallel imports this module, whose default arguments keep the process group of
    # the moment of import alive; imported before there is a group, they keep none.
    import_module("torch.distributed.nn.functional")
    dist.init_process_group(backend, timeout=timedelta(minutes=MINUTES))
    return device


def lost_process(error: RuntimeError) -> str:
    """Why a process is alone, where that is what an error says; "" where it says something else."""
    if any(reason in str(error) for reason in ("Timed out waiting", "Connection closed by peer")):
        return f"another process has ended, or has not answered for {MINUTES} minutes"
    return ""


def stop() -> None:
    """Leave the process group, and return when its threads have ended.

    A gloo thread that still runs when Python exits can abort a process that had finished. A
    DistributedDataParallel that is still referred to keeps the threads: return from the function
    that holds it first. Where an exception is on its way, the local variables of the functions it
    has left are cleared, since they may hold one.
    """
    if dist.is_available() and dist.is_initialized():
        error = sys.exception()
        while error is not None:
            traceback.clear_frames(error.__traceback__)
            error = error.__context__
        dist.destroy_process_group()
        gc.collect()  # a DistributedDataParallel in a cycle holds the group
