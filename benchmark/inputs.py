"""What the cases work on: embeddings, images, JPEG files; and the losses written by hand.

N queries, D = 128, Q keys in a queue.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from eqco.losses.registry import LOSSES
from eqco.losses.sampling import draw_columns, skip
from eqco.losses.similarity import Similarities

TEMPERATURE = 0.2
SETTINGS = {"alpha": 256.0, "second_temperature": 1.0, "hardness": 1.0, "sog_gamma": 0.9}


def embeddings(count: int, seed: int = 0) -> Tensor:
    """Unit vectors (N, 128)."""
    drawn = torch.randn(count, 128, generator=torch.Generator().manual_seed(seed))
    return drawn.div_(drawn.norm(dim=1, keepdim=True))  # in place: peaks of memory are measured


def step(loss: Tensor, query: Tensor) -> None:
    """The backward pass, into a fresh gradient."""
    query.grad = None
    loss.backward()  # type: ignore[no-untyped-call]


def mean_loss(name: str, similarities: Similarities) -> Tensor:
    """A loss of the suite, the mean over the queries."""
    loss = LOSSES[name]
    settings = {loss.setting: SETTINGS[loss.setting]} if loss.setting else {}
    losses = loss.losses(similarities, temperature=TEMPERATURE, **settings)
    return losses.mean()


def ours_in_batch(name: str, query: Tensor, key: Tensor, few: int, draw: torch.Generator) -> None:
    """A loss of the suite as SiMo computes it: draw, similarities, loss, backward."""
    rows = torch.arange(len(query))
    columns = draw_columns(few, len(key) - 1, draw, "independent", total=len(query), place=rows)
    if columns is None:
        similarities = Similarities(query, key, key, excluded=rows[:, None])
    else:
        similarities = Similarities(query, key, key, columns=skip(columns, rows))
    step(mean_loss(name, similarities), query)


def ours_of_queue(
    query: Tensor, key: Tensor, queue: Tensor, few: int, draw: torch.Generator
) -> None:
    """InfoNCE as MoCo v2 computes it: draw from the queue, similarities, loss, backward."""
    rows = torch.arange(len(query))
    columns = draw_columns(few, len(queue), draw, "independent", total=len(query), place=rows)
    step(mean_loss("infonce", Similarities(query, key, queue, columns=columns)), query)


def plain_in_batch(query: Tensor, key: Tensor) -> None:
    """InfoNCE over all keys of the batch: matrix product and cross-entropy."""
    step(
        F.cross_entropy(query @ key.T / TEMPERATURE, torch.arange(len(query), device=query.device)),
        query,
    )


def with_positive_first(query: Tensor, key: Tensor, negatives: Tensor) -> None:
    """Cross-entropy of the positive beside dot products with negatives (N, K), and backward."""
    positive = torch.einsum("nd,nd->n", query, key)[:, None]
    logits = torch.cat([positive, negatives], dim=1) / TEMPERATURE
    step(F.cross_entropy(logits, torch.zeros(len(query), dtype=torch.long)), query)


def plain_of_queue(query: Tensor, key: Tensor, queue: Tensor) -> None:
    """InfoNCE over the queue, as in MoCo's own code."""
    with_positive_first(query, key, query @ queue.T)


def limit_of_few(query: Tensor, key: Tensor, keys: Tensor, few: int, draw: torch.Generator) -> None:
    """K keys by hand: draw with repeats, take, einsum, cross-entropy."""
    columns = torch.randint(len(keys), (len(query), few), generator=draw)
    with_positive_first(query, key, torch.einsum("nd,nkd->nk", query, keys[columns]))


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
