"""Training steps: the suite's, and the bare loop that bounds them."""

from __future__ import annotations

import resource
from collections.abc import Callable, Iterable
from dataclasses import replace
from functools import cache, partial
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils.data import DataLoader, default_collate

from benchmark.inputs import TEMPERATURE, pictures, plain_infonce, random_images
from benchmark.measure import Timed
from eqco.artifacts.run_files import Run
from eqco.config import Machine
from eqco.data.in_memory import Dataset, InMemory, glyph_set
from eqco.engine.pretrain import Pretraining
from eqco.methods import build
from eqco.methods.encoder import momentum_update
from eqco.recipe import Recipe
from eqco.runtime.cpu import granted_cores
from reproductions.scales import SCALES


@cache
def scale_data(scale: str, count: int) -> Dataset:
    """Glyphs, or random images that stand for photographs of 32 pixels."""
    if scale == "glyphs":
        return glyph_set(0.1 if count < 256 else 1.0)
    images, labels = random_images(count, 32), torch.arange(count) % 10
    return Dataset(images, labels, images[:10], labels[:10], 10, "random")


def step_recipe(scale: str, method: str, negatives: int | None = 16, batch: int = 256) -> Recipe:
    """InfoNCE of a scale with K negatives, None for all; only tests pass a smaller `batch`."""
    base = replace(SCALES[scale].base, epochs=1000)
    if batch != base.batch_size:
        base = replace(base, batch_size=batch, num_negatives=batch - 1)
    recipe = SCALES[scale].baseline(method, base)
    return recipe if negatives is None else replace(recipe, num_negatives=negatives)


def training(recipe: Recipe, scale: str) -> Pretraining:
    """The suite's training, ready for its first step."""
    machine = Machine(threads=torch.get_num_threads())
    images = InMemory(scale_data(scale, 8 * recipe.batch_size), recipe, 0, machine)
    return Pretraining(Run(recipe, 0, machine), images)


class Bare:
    """The same encoder on views that are ready: plain loss over all keys, plain SGD.

    The key encoder follows by a moving average, as it must; nothing is shuffled or drawn.
    """

    def __init__(self, recipe: Recipe, views: tuple[Tensor, Tensor]) -> None:
        self.recipe, self.views, self.device = recipe, views, views[0].device
        self.method = build(recipe, 0, str(self.device))
        self.optimizer = torch.optim.SGD(
            self.method.encoder.parameters(), 0.01, momentum=0.9, weight_decay=1e-4
        )

    def loss(self) -> Tensor:
        """Matrix products and cross-entropy."""
        encoder, (query_view, key_view) = self.method.encoder, self.views
        if self.recipe.method == "simclr":
            embedding = encoder(torch.cat(self.views))
            rows = torch.arange(len(query_view), device=self.device)
            logits = (embedding @ embedding.T / TEMPERATURE).fill_diagonal_(-1e9)
            return F.cross_entropy(logits, torch.cat([rows + len(rows), rows]))
        with torch.no_grad():
            momentum_update(encoder, self.method.key_encoder, self.recipe.key_momentum)
            key = self.method.key_encoder(key_view)
        return plain_infonce(encoder(query_view), key, getattr(self.method, "queue", None))

    def step(self) -> None:
        low = self.recipe.precision == "bfloat16"
        with torch.autocast(self.device.type, torch.bfloat16, enabled=low):
            loss = self.loss()
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        self.optimizer.step()


def processor_seconds() -> float:
    """Processor time of this process and of all children that have ended."""
    used = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(usage.ru_utime + usage.ru_stime for usage in used)


def transformed(transform: Callable[[Any], Any], images: Iterable[Any]) -> Any:
    """A batch of the views of some images."""
    return default_collate([transform(image) for image in images])


def lightly_loop(recipe: Recipe, images: Tensor, steps: int) -> Timed:
    """Steps of lightly's documented SimCLR loop on our encoder, with a worker for each core.

    Source: the SimCLR example of lightly's documentation.
    """
    from lightly.loss import NTXentLoss
    from lightly.transforms.simclr_transform import SimCLRTransform

    transform = SimCLRTransform(input_size=images.shape[-1], gaussian_blur=0.0)
    data: Any = pictures(images) * steps
    loader = DataLoader(
        data,
        batch_size=recipe.batch_size,
        shuffle=True,
        drop_last=True,
        num_workers=granted_cores(),
        collate_fn=partial(transformed, transform),
    )
    encoder = build(recipe, 0, "cpu").encoder
    criterion, optimizer = NTXentLoss(), torch.optim.SGD(encoder.parameters(), lr=0.06)

    def run() -> None:
        for query_view, key_view in loader:
            loss = criterion(encoder(query_view), encoder(key_view))
            loss.backward()
            optimizer.step()
            optimizer.zero_grad()

    return Timed(run, images=len(data), rounds=2)
