"""Batch norm over all processes, or over parts of the batch. N images, C channels."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.modules._functions import SyncBatchNorm
from torch.nn.modules.batchnorm import _BatchNorm

from eqco.losses.tensors import wide
from eqco.runtime.distributed import Sum, concatenated, world_size


class SyncedOnGpu(SyncBatchNorm):
    """torch's batch norm over processes, without its masks: here no process has an empty batch.

    The masks make the processor wait for the GPU three times a layer. The backward pass is torch's.
    """

    @staticmethod
    def forward(ctx: Any, input: Tensor, weight: Tensor, bias: Tensor, *settings: Any) -> Tensor:
        """(n, C, ...), normalised by the statistics of all (N, C, ...); the running ones move.

        `settings` are running mean and variance (C,), epsilon, momentum, group and its size.
        """
        running_mean, running_var, eps, momentum, ctx.process_group, processes = settings
        if not input.is_contiguous(memory_format=torch.channels_last):
            input = input.contiguous()
        stats = torch.stack(torch.batch_norm_stats(input, eps))  # mean and 1 / deviation, (2, C)
        means, inverses = concatenated(stats[None]).unbind(dim=1)  # (processes, C) each
        counts = means.new_full((processes,), input.numel() // input.shape[1])
        mean, inverse = torch.batch_norm_gather_stats_with_counts(
            input, means, inverses, running_mean, running_var, momentum, eps, counts
        )
        if any(ctx.needs_input_grad):
            ctx.save_for_backward(input, weight, mean, inverse, counts.int())
        return torch.batch_norm_elemt(input, weight, bias, mean, inverse, eps)


class SyncedBatchNorm(_BatchNorm):
    """Batch norm over the images of all processes, which have equally many; on any device."""

    def _check_input_dim(self, input: Tensor) -> None:
        """Every shape (n, C, ...) is allowed."""

    def forward(self, input: Tensor) -> Tensor:
        """(n, C, ...), normalised by the statistics of all (N, C, ...)."""
        if not self.training or world_size() == 1:
            return super().forward(input)
        momentum = 0.1 if self.momentum is None else self.momentum
        on_gpu = input.device.type == "cuda"
        return self.on_gpu(input, momentum) if on_gpu else self.in_parts(input, momentum)

    def on_gpu(self, input: Tensor, momentum: float) -> Tensor:
        """`forward` of several processes, in torch's operations for GPUs."""
        running = (self.running_mean, self.running_var, self.eps, momentum)
        group = (dist.group.WORLD, world_size())
        out: Tensor = SyncedOnGpu.apply(input, self.weight, self.bias, *running, *group)
        return out

    def in_parts(self, input: Tensor, momentum: float) -> Tensor:
        """`forward` of several processes, in operations that every device has."""
        narrow, input = input.dtype, input.to(wide(input.dtype))
        axes = [0, *range(2, input.ndim)]
        shape = [1, -1] + [1] * (input.ndim - 2)
        count = input.numel() // input.shape[1] * world_size()
        mean = Sum.apply(input.sum(dim=axes)) / count
        centred = input - mean.view(shape)
        variance = Sum.apply((centred**2).sum(dim=axes)) / count
        with torch.no_grad():
            assert self.running_mean is not None
            assert self.running_var is not None
            self.running_mean.lerp_(mean, momentum)
            self.running_var.lerp_(variance * count / (count - 1), momentum)
        scale = self.weight * torch.rsqrt(variance + self.eps)
        out: Tensor = centred * scale.view(shape) + self.bias.view(shape)
        return out.to(narrow)


class SplitBatchNorm(_BatchNorm):
    """Batch norm over each of several equal parts of the batch, as on separate GPUs.

    Attributes:
        splits: how many parts; must divide the number of images.

    Source: the CIFAR notebook of facebookresearch/moco. A queue needs it: with whole-batch
    statistics the encoder can recognise the positive key by the statistics shared with the query.
    """

    splits = 1

    def _check_input_dim(self, input: Tensor) -> None:
        """Every shape (n, C, ...) is allowed."""

    def forward(self, input: Tensor) -> Tensor:
        """(n, C, ...), each n / splits images normalised by themselves."""
        if not self.training:
            return super().forward(input)
        if len(input) % self.splits:
            raise ValueError(
                f"{len(input)} images do not split into {self.splits} equal parts for batch norm: "
                "choose bn_splits that divides the batch of a process"
            )
        parts = input.chunk(self.splits)
        if self.momentum is None:  # a mean over all batches, which needs the count at each part
            return torch.cat([super(SplitBatchNorm, self).forward(part) for part in parts])
        assert self.num_batches_tracked is not None
        self.num_batches_tracked.add_(self.splits)
        state = (self.running_mean, self.running_var, self.weight, self.bias)
        return torch.cat(
            [F.batch_norm(part, *state, True, self.momentum, self.eps) for part in parts]
        )


def replace_batch_norms(module: nn.Module, make: Callable[[_BatchNorm], _BatchNorm]) -> None:
    """Replace each batch norm by `make(layer)`, in place; its state is kept."""
    for name, child in module.named_children():
        if isinstance(child, _BatchNorm):
            made = make(child)
            made.load_state_dict(child.state_dict())
            setattr(module, name, made)
        else:
            replace_batch_norms(child, make)


def use_split_batch_norm(module: nn.Module, splits: int) -> None:
    """Normalise `splits` parts of the batch separately, shared equally by the processes.

    Raises:
        ValueError: the number of processes does not divide `splits`.
    """
    if splits % world_size():
        raise ValueError(
            f"bn_splits is {splits}, but {world_size()} processes train together: choose a "
            f"multiple of {world_size()}"
        )
    if splits == world_size():
        return  # one part a process: its layers, which copy nothing

    def make(layer: _BatchNorm) -> _BatchNorm:
        split = SplitBatchNorm(layer.num_features, layer.eps, layer.momentum)
        split.splits = splits // world_size()
        return split

    replace_batch_norms(module, make)


def use_synced_batch_norm(module: nn.Module) -> None:
    """Normalise over the images of all processes; a single process keeps its layers."""
    if world_size() > 1:
        replace_batch_norms(
            module, lambda layer: SyncedBatchNorm(layer.num_features, layer.eps, layer.momentum)
        )
