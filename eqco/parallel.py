"""Several processes as one: each holds n of the N images of a batch; on one process, n = N.

Every rank draws the same random numbers for the whole batch and takes the part that is its own, so
W processes compute what one process computes on the same batch.
"""

from __future__ import annotations

import gc
from collections.abc import Callable
from datetime import timedelta
from importlib import import_module
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm


def world_size() -> int:
    """Number of processes that train together; 1 where none were started."""
    return dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1


def rank() -> int:
    """Number of this process, 0 .. world_size() - 1."""
    return dist.get_rank() if world_size() > 1 else 0


def first_of(count: int) -> int:
    """Place in the whole batch of the first of this process's `count` images."""
    return rank() * count


class Gather(torch.autograd.Function):
    """All ranks' tensors, one below the other; the gradient is summed over the ranks."""

    @staticmethod
    def forward(ctx: Any, local: Tensor) -> Tensor:
        """(n, ...) -> (N, ...)."""
        parts = [torch.empty_like(local) for _ in range(world_size())]
        dist.all_gather(parts, local.contiguous())
        return torch.cat(parts)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        """(N, ...) -> (n, ...): every rank's loss depends on this rank's part."""
        gradient = gradient.contiguous()
        dist.all_reduce(gradient)
        return gradient.chunk(world_size())[rank()]


def gather(local: Tensor) -> Tensor:
    """All ranks' tensors (N, ...) from each rank's (n, ...), with gradient."""
    if world_size() == 1:
        return local
    return Gather.apply(local)  # type: ignore[no-any-return]


class Sum(torch.autograd.Function):
    """Sum over the ranks, of the value and of its gradient."""

    @staticmethod
    def forward(ctx: Any, local: Tensor) -> Tensor:
        """Same shape."""
        total = local.clone()
        dist.all_reduce(total)
        return total

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        """Same shape."""
        total = gradient.clone()
        dist.all_reduce(total)
        return total


def mean_over_ranks(value: Tensor) -> Tensor:
    """Mean of a tensor over the ranks, no gradient."""
    if world_size() > 1:
        value = value.detach().clone()
        dist.all_reduce(value)
        value /= world_size()
    return value


def sum_over_ranks(value: Tensor) -> Tensor:
    """Sum of a tensor over the ranks, no gradient."""
    return mean_over_ranks(value) * world_size()


def gather_uneven(local: Tensor) -> Tensor:
    """All ranks' tensors, one below the other, where their lengths differ; no gradient."""
    if world_size() == 1:
        return local
    own = torch.tensor([len(local)], device=local.device)
    counts = gather(own).tolist()
    padded = local.new_zeros((max(counts), *local.shape[1:]))
    padded[: len(local)] = local
    parts = [torch.empty_like(padded) for _ in counts]
    dist.all_gather(parts, padded)
    return torch.cat([part[:count] for part, count in zip(parts, counts, strict=True)])


def wait() -> None:
    """Return when every process is here."""
    if world_size() > 1:
        dist.barrier()


def agreed(yes: bool, device: str) -> bool:
    """What the first process says, on every process."""
    said = torch.tensor(float(yes and rank() == 0), device=device)
    return yes if world_size() == 1 else bool(mean_over_ranks(said) > 0)


class SyncedBatchNorm(_BatchNorm):
    """Batch norm over the images of all processes, on any device; torch's own needs a GPU."""

    def _check_input_dim(self, input: Tensor) -> None:
        """Any (n, C, ...) will do."""

    def forward(self, input: Tensor) -> Tensor:
        """(n, C, ...), normalised by the statistics of all (N, C, ...)."""
        if not self.training or world_size() == 1:
            return super().forward(input)
        narrow, input = input.dtype, input.to(torch.promote_types(input.dtype, torch.float32))
        axes = [0, *range(2, input.ndim)]
        shape = [1, -1] + [1] * (input.ndim - 2)
        count = input.numel() // input.shape[1] * world_size()
        mean = Sum.apply(input.sum(dim=axes)) / count
        centred = input - mean.view(shape)
        variance = Sum.apply((centred**2).sum(dim=axes)) / count
        with torch.no_grad():
            assert self.running_mean is not None
            assert self.running_var is not None
            momentum = 0.1 if self.momentum is None else self.momentum
            self.running_mean.lerp_(mean, momentum)
            self.running_var.lerp_(variance * count / (count - 1), momentum)
        scale = self.weight * torch.rsqrt(variance + self.eps)
        out: Tensor = centred * scale.view(shape) + self.bias.view(shape)
        return out.to(narrow)


class SplitBatchNorm(_BatchNorm):
    """Batch norm over each of several equal parts of the batch, as if each had a GPU of its own.

    Attributes:
        splits: how many parts; must divide the number of images.

    Source: the CIFAR notebook of facebookresearch/moco. A queue needs it: with whole-batch
    statistics the encoder tells the positive key by the statistics it shares with the query.
    """

    splits = 1

    def _check_input_dim(self, input: Tensor) -> None:
        """Any (n, C, ...) will do."""

    def forward(self, input: Tensor) -> Tensor:
        """(n, C, ...), each n / splits images normalised by themselves."""
        if not self.training:
            return super().forward(input)
        if len(input) % self.splits:
            raise ValueError(
                f"{len(input)} images do not split into {self.splits} equal parts for batch norm: "
                "choose bn_splits that divides the batch of a process"
            )
        return torch.cat([super(SplitBatchNorm, self).forward(p) for p in input.chunk(self.splits)])


def replace_batch_norms(module: nn.Module, make: Callable[[_BatchNorm], _BatchNorm]) -> None:
    """Put `make(layer)` in the place of each batch norm, in place; its state goes along."""
    for name, child in module.named_children():
        if isinstance(child, _BatchNorm):
            made = make(child)
            made.load_state_dict(child.state_dict())
            setattr(module, name, made)
        else:
            replace_batch_norms(child, make)


def use_split_batch_norm(module: nn.Module, splits: int) -> None:
    """Normalise `splits` parts of the batch apart; spread over the processes there are.

    Raises:
        ValueError: the number of processes does not divide `splits`.
    """
    if splits % world_size():
        raise ValueError(
            f"bn_splits is {splits}, but {world_size()} processes train together: choose a "
            f"multiple of {world_size()}"
        )

    def make(layer: _BatchNorm) -> _BatchNorm:
        split = SplitBatchNorm(layer.num_features, layer.eps, layer.momentum)
        split.splits = splits // world_size()
        return split

    replace_batch_norms(module, make)


def use_synced_batch_norm(module: nn.Module, device: str) -> nn.Module:
    """Normalise over the images of all processes; nothing to do on one process."""
    if world_size() == 1:
        return module
    if device.startswith("cuda"):
        return nn.SyncBatchNorm.convert_sync_batchnorm(module)  # type: ignore[no-any-return, no-untyped-call]
    replace_batch_norms(
        module, lambda layer: SyncedBatchNorm(layer.num_features, layer.eps, layer.momentum)
    )
    return module


@torch.no_grad()
def average_buffers(module: nn.Module) -> None:
    """Running statistics become their mean over the ranks: one encoder, whatever rank saves it."""
    if world_size() > 1:
        for buffer in module.buffers():
            if buffer.is_floating_point():
                buffer.copy_(mean_over_ranks(buffer))


def start(device: str) -> str:
    """Join the processes that torchrun started, where it did; returns this process's device."""
    import os

    if "RANK" not in os.environ or not dist.is_available() or dist.is_initialized():
        return device
    if device.startswith("cuda"):
        device = f"cuda:{os.environ.get('LOCAL_RANK', '0')}"
        torch.cuda.set_device(device)
    # One process may be alone at work for long: the first one probes data held in memory.
    backend = "nccl" if device.startswith("cuda") else "gloo"
    # Imported later, by DistributedDataParallel, its functions' defaults would be the group that is
    # there by then, and keep it for ever.
    import_module("torch.distributed.nn.functional")
    dist.init_process_group(backend, timeout=timedelta(hours=2))
    return device


def stop() -> None:
    """Leave the processes again, and return when no thread works for them any more.

    A thread of gloo that is still at work when Python ends aborts a process that had finished.
    """
    if dist.is_available() and dist.is_initialized():
        dist.destroy_process_group()
        gc.collect()  # a DistributedDataParallel in a cycle holds the group
