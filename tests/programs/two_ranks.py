"""Two processes: gathering, mean buffers, and batch norm as on GPUs; fails where one is wrong.

Each prints what a loss says of batches that differ in size. Images have three channels: with one,
as glyphs have, both layouts of memory are the same.

torch's operations of batch norm over processes exist on GPUs only; here they are written out.
"""

from typing import Any

import torch
from torch import Tensor, nn

from eqco import EqCoLoss
from eqco.methods.batch_norm import SyncedBatchNorm
from eqco.runtime import distributed

kernels = torch.library.Library("aten", "IMPL")
Tensors = tuple[Tensor, ...]


def axes(images: Tensor) -> list[int]:
    """All but the channels."""
    return [0, *range(2, images.ndim)]


def spread(images: Tensor, *channels: Tensor) -> list[Tensor]:
    """Numbers (C,) in a shape that multiplies images."""
    return [numbers.view(1, -1, *[1] * (images.ndim - 2)) for numbers in channels]


def stats(images: Tensor, eps: float) -> Tensors:
    """Mean and 1 / deviation."""
    variance, mean = torch.var_mean(images.float(), dim=axes(images), correction=0)
    return mean, torch.rsqrt(variance + eps)


def gathered_stats(
    images: Tensor, means: Tensor, inverses: Tensor, running_mean: Tensor, running_var: Tensor,
    momentum: float, eps: float, counts: Tensor,
) -> Tensors:  # fmt: skip
    """Those of all processes; the running ones move."""
    share = (counts / counts.sum())[:, None]
    mean = (share * means).sum(0)
    variance = (share * (inverses**-2 - eps + (means - mean) ** 2)).sum(0)
    running_mean.lerp_(mean, momentum)
    running_var.lerp_(variance * counts.sum() / (counts.sum() - 1), momentum)
    return mean, torch.rsqrt(variance + eps)


def normalised(
    images: Tensor, weight: Tensor, bias: Tensor, means: Tensor, inverses: Tensor, *_: Any
) -> Tensor:
    """The images by mean and 1 / deviation."""
    mean, inverse, factor, shift = spread(images, means, inverses, weight, bias)
    return ((images.float() - mean) * inverse * factor + shift).to(images.dtype)


def backward_sums(
    gradient: Tensor, images: Tensor, mean: Tensor, inverse: Tensor, *_: Any
) -> Tensors:
    """Sums of the gradient, also times the images; gradients of weight and bias."""
    (centre,) = spread(images, mean)
    bias = gradient.float().sum(axes(images))
    product = (gradient.float() * (images.float() - centre)).sum(axes(images))
    return bias, product, product * inverse, bias


def backward(
    gradient: Tensor, images: Tensor, mean: Tensor, inverse: Tensor, weight: Tensor,
    bias_sum: Tensor, product: Tensor, counts: Tensor,
) -> Tensor:  # fmt: skip
    total = counts.sum()
    centre, constant, slope, factor = spread(
        images, mean, bias_sum / total, inverse**2 * product / total, weight * inverse
    )
    of_images = (gradient.float() - constant - (images.float() - centre) * slope) * factor
    return of_images.to(images.dtype)


for name, function in {
    "batch_norm_stats": stats,
    "batch_norm_gather_stats_with_counts": gathered_stats,
    "batch_norm_elemt": normalised,
    "batch_norm_backward_reduce": backward_sums,
    "batch_norm_backward_elemt": backward,
}.items():
    kernels.impl(name, function, "CPU")


def outcome(images: Tensor, gradient: Tensor, on_gpu: bool) -> Tensors:
    """Output, gradients and state of a layer, in one of both ways."""
    layer, images = SyncedBatchNorm(images.shape[1]), images.clone().requires_grad_()
    nn.init.uniform_(layer.weight, generator=torch.Generator().manual_seed(1))
    if on_gpu:
        layer.in_parts = layer.on_gpu
    out = layer(images)
    out.backward(gradient)
    return out, images.grad, layer.weight.grad, layer.bias.grad, *layer.state_dict().values()


distributed.start("cpu")
generator = torch.Generator().manual_seed(0)
layouts = [torch.randn(6, 3, *side, generator=generator) for side in ((), (5, 4))]
layouts += [layouts[1].to(memory_format=torch.channels_last)]
rank = 1 + distributed.rank()
for images in layouts:
    ways = [outcome(images * rank + rank, images**2, on_gpu) for on_gpu in (False, True)]
    for one, other in zip(*ways, strict=True):
        torch.testing.assert_close(one, other)

for images in layouts:
    apart = [images, images + 1]
    gathered = distributed.gather(apart[rank - 1])
    assert torch.equal(gathered, torch.cat(apart))
    assert images.ndim == 2 or gathered.is_contiguous(memory_format=torch.channels_last)

uneven = [torch.arange(5.0).view(5, 1), torch.arange(3.0).view(3, 1)]
assert torch.equal(distributed.gather_uneven(uneven[rank - 1]), torch.cat(uneven))

held = nn.Sequential(nn.BatchNorm2d(3), nn.BatchNorm1d(2).double())
for name, value in held.named_buffers():
    value.fill_(rank * (1 + len(name)))
distributed.average_buffers(held)
for name, value in held.named_buffers():
    share = 1.5 if value.is_floating_point() else rank
    assert torch.equal(value, torch.full_like(value, share * (1 + len(name))))

try:
    EqCoLoss(4, gather=True)(*torch.randn(2, 17 - rank, 4, requires_grad=True))
except ValueError as error:
    print(error, flush=True)
distributed.stop()
