"""Other libraries, where they are installed: pip install -e '.[peers]'.

Each function returns a part to time, or None where its library is missing.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from typing import Any

import torch
from PIL import ImageFilter
from PIL.Image import Image
from torch import Tensor
from torchvision.transforms import v2

from benchmark.inputs import TEMPERATURE, LossCase
from benchmark.measure import Timed
from eqco.data.streaming import IMAGENET_MEAN, IMAGENET_STD

PEERS = {
    "kornia": "kornia",
    "lightly": "lightly",
    "pytorch_metric_learning": "pytorch-metric-learning",
}


def is_installed(module: str) -> bool:
    return find_spec(module) is not None


def missing() -> list[str]:
    """A sentence for each library that is not installed."""
    return [
        f"{name} is not installed: pip install -e '.[peers]'"
        for module, name in PEERS.items()
        if not is_installed(module)
    ]


def lightly_nt_xent(case: LossCase, rounds: int) -> Timed | None:
    """NTXentLoss, forward and backward: of two views, or of a memory bank as its MoCo uses it."""
    if not is_installed("lightly"):
        return None
    from lightly.loss import NTXentLoss

    bank = 0 if case.queue is None else tuple(case.queue.shape)
    loss = NTXentLoss(TEMPERATURE, memory_bank_size=bank)
    return Timed(lambda: loss(case.query, case.key).backward(), rounds=rounds)


def metric_learning_nt_xent(case: LossCase) -> Timed | None:
    """NTXentLoss for self-supervision, forward and backward; made for labels, so slow here."""
    if not is_installed("pytorch_metric_learning"):
        return None
    from pytorch_metric_learning.losses import NTXentLoss, SelfSupervisedLoss

    loss = SelfSupervisedLoss(NTXentLoss(TEMPERATURE))
    return Timed(lambda: loss(case.query, case.key).backward(), rounds=1)


def per_image(transform: Callable[[Any], Any], images: Sequence[Any], views: int = 1) -> Timed:
    """A transform of single images, `views` times for each."""
    return Timed(
        lambda: [transform(image) for image in images for _ in range(views)],
        images=len(images),
        rounds=5,
    )


def kornia_views(images: Tensor, size: int, blur: bool) -> Timed | None:
    """Two views of a batch by kornia."""
    if not is_installed("kornia"):
        return None
    import kornia.augmentation as K

    parts: list[Any] = [
        K.RandomResizedCrop((size, size), scale=(0.2, 1.0)),
        K.RandomHorizontalFlip(),
        K.ColorJitter(0.4, 0.4, 0.4, 0.1, p=0.8),
        K.RandomGrayscale(p=0.2),
    ]
    if blur:
        parts.append(K.RandomGaussianBlur((23, 23), (0.1, 2.0), p=0.5))
    transform = K.AugmentationSequential(*parts)
    return Timed(lambda: (transform(images), transform(images)), images=len(images), rounds=5)


def pillow_blur(image: Image) -> Image:
    """A Gaussian of random width by Pillow, as in MoCo's code."""
    return image.filter(ImageFilter.GaussianBlur(random.uniform(0.1, 2.0)))


def torchvision_view(size: int, blur: bool, tensor: bool) -> Any:
    """MoCo v2's view by torchvision v2, of one uint8 tensor or one PIL image; normalised.

    PIL images are blurred by Pillow, as in MoCo's code: torchvision's own blur takes six times as
    long.
    """
    steps: list[Any] = [
        v2.RandomResizedCrop(size, (0.2, 1.0), antialias=True),
        v2.RandomApply([v2.ColorJitter(0.4, 0.4, 0.4, 0.1)], 0.8),
        v2.RandomGrayscale(0.2),
    ]
    if blur:
        gaussian = v2.GaussianBlur(23, (0.1, 2.0)) if tensor else pillow_blur
        steps.append(v2.RandomApply([gaussian], 0.5))
    steps += [v2.RandomHorizontalFlip(), v2.ToImage()]
    steps += [v2.ToDtype(torch.float32, scale=True), v2.Normalize(IMAGENET_MEAN, IMAGENET_STD)]
    return v2.Compose(steps)


def lightly_view(size: int, blur: float) -> Callable[[Image], Any] | None:
    """MoCo v2's two views of a PIL image by lightly."""
    if not is_installed("lightly"):
        return None
    from lightly.transforms.moco_transform import MoCoV2Transform

    view: Callable[[Image], Any] = MoCoV2Transform(input_size=size, gaussian_blur=blur)
    return view
