"""What the cases work on: losses of the suite and by hand, images, JPEG files.

N queries, K negatives of each, D = 128, Q keys in a queue.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from eqco.losses.registry import LOSSES
from eqco.losses.sampling import draw_columns
from eqco.losses.similarity import Similarities, to_other_images

TEMPERATURE = 0.2
SETTINGS = {"alpha": 256.0, "second_temperature": 1.0, "hardness": 1.0, "sog_gamma": 0.9}


def embeddings(count: int, seed: int = 0) -> Tensor:
    """Unit vectors (N, 128)."""
    drawn = torch.randn(count, 128, generator=torch.Generator().manual_seed(seed))
    return drawn.div_(drawn.norm(dim=1, keepdim=True))  # in place: peaks of memory are measured


def with_positive_first(query: Tensor, key: Tensor, negatives: Tensor) -> Tensor:
    """Cross-entropy of the positive beside dot products with negatives (N, K)."""
    positive = torch.einsum("nd,nd->n", query, key)[:, None]
    logits = torch.cat([positive, negatives], dim=1) / TEMPERATURE
    return F.cross_entropy(logits, torch.zeros(len(query), dtype=torch.long, device=query.device))


def plain_infonce(query: Tensor, key: Tensor, queue: Tensor | None) -> Tensor:
    """InfoNCE over all keys of the batch, or of a queue as in MoCo's own code."""
    if queue is not None:
        return with_positive_first(query, key, query @ queue.T)
    rows = torch.arange(len(query), device=query.device)
    return F.cross_entropy(query @ key.T / TEMPERATURE, rows)


class LossCase:
    """A loss, forward and backward, with K negatives: of the batch, or of a queue.

    Args:
        count: N.
        negatives: K; 0 takes all there are.
        queue_size: Q; 0 for the batch.
        device: where the embeddings are.
    """

    def __init__(
        self, count: int, negatives: int, queue_size: int = 0, device: str = "cpu"
    ) -> None:
        self.query = embeddings(count).to(device).requires_grad_()
        self.key = embeddings(count, 1).to(device)
        self.queue = embeddings(queue_size, 2).to(device) if queue_size else None
        self.available = queue_size or count - 1
        self.negatives, self.draw = negatives, torch.Generator().manual_seed(0)

    def similarities(self) -> Similarities:
        """Similarities to K keys that are drawn, as SiMo and MoCo v2 compute them."""
        count, rows = self.negatives or self.available, torch.arange(len(self.query))
        columns = draw_columns(count, self.available, self.draw, total=len(rows), place=rows)
        if self.queue is None:
            return to_other_images(self.query, self.key, self.key, columns, rows)
        return Similarities(self.query, self.key, self.queue, columns=columns)

    def backward(self, loss: Tensor) -> None:
        """The backward pass, into a fresh gradient."""
        self.query.grad = None
        loss.backward()  # type: ignore[no-untyped-call]

    def ours(self, name: str = "infonce") -> None:
        """A loss of the suite."""
        loss = LOSSES[name]
        settings = {loss.setting: SETTINGS[loss.setting]} if loss.setting else {}
        losses = loss.losses(self.similarities(), temperature=TEMPERATURE, **settings)
        self.backward(losses.mean())

    def plain(self) -> None:
        """Usual code: a matrix product with all keys, and cross-entropy."""
        self.backward(plain_infonce(self.query, self.key, self.queue))

    def limit(self) -> None:
        """K keys by hand: draw with repeats, take, einsum, cross-entropy."""
        keys = self.key if self.queue is None else self.queue
        columns = torch.randint(len(keys), (len(self.query), self.negatives), generator=self.draw)
        negatives = torch.einsum("nd,nkd->nk", self.query, keys[columns])
        self.backward(with_positive_first(self.query, self.key, negatives))


def random_images(count: int, side: int, channels: int = 3) -> Tensor:
    """Random uint8 images (N, C, S, S)."""
    draw = torch.Generator().manual_seed(0)
    return torch.randint(256, (count, channels, side, side), dtype=torch.uint8, generator=draw)


def pictures(images: Tensor) -> list[Image.Image]:
    """uint8 images (N, 3, S, S) as PIL images."""
    return [Image.fromarray(image.permute(1, 2, 0).numpy()) for image in images]


def photograph(draw: np.random.Generator, width: int, height: int) -> Image.Image:
    """Noise at several scales, so that JPEG compresses it about as well as a photograph."""
    total = np.zeros((height, width, 3))
    for cells, weight in ((4, 90.0), (16, 40.0), (64, 20.0), (250, 25.0)):
        noise = draw.uniform(-1, 1, (max(2, cells * height // width), cells, 3))
        small = Image.fromarray((127.5 * (noise + 1)).astype(np.uint8))
        large = small.resize((width, height), Image.Resampling.BICUBIC)
        total += weight * (np.asarray(large) / 127.5 - 1)
    return Image.fromarray((128 + total).clip(0, 255).astype(np.uint8))


def write_jpegs(folder: Path, count: int) -> Path:
    """A tree of `count` JPEG files of ImageNet's usual size in two classes, train/ and val/."""
    draw = np.random.default_rng(0)
    for number in range(count):
        image = photograph(draw, 500, 375)
        for split in ("train", "val") if number < 2 else ("train",):
            place = folder / split / "ab"[number % 2]
            place.mkdir(parents=True, exist_ok=True)
            image.save(place / f"{number}.jpg", quality=90)
    return folder
