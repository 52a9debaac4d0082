"""How fast this machine trains: images a second of the recipes of the tables' scales, in seconds.

Views are noise that is ready, so decoding and cropping of files is not in it.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from eqco.randomness import Shuffle, generator_for
from eqco.recipe import Recipe
from eqco.runs.pretrain import Pretraining
from eqco.settings import Machine


@dataclass(frozen=True)
class Size:
    """What a run of a scale has to do, as far as its price depends on it.

    Attributes:
        settings: fields of its recipe that differ from the default.
        side, channels: of its images.
        images: training images of one epoch.
        batch: images of a step that is timed on a CPU, where a whole batch takes too long.
    """

    settings: dict[str, Any]
    side: int
    channels: int
    images: int
    batch: int

    @property
    def recipe(self) -> Recipe:
        """SiMo with InfoNCE."""
        return Recipe(**self.settings)


PHOTOGRAPHS = {"data": "folder", "views": "photos", "crop_scale": 0.2}
FILES = {"views": "moco-v2", "image_size": 224, "probe": "crops", "data": "imagenet"}
SIZES = {
    "glyphs": Size({}, 24, 1, 18_963, 256),
    "photos": Size({**PHOTOGRAPHS, "backbone": "small-rgb"}, 32, 3, 50_000, 256),
    "cifar10": Size(
        {**PHOTOGRAPHS, "data": "cifar10", "backbone": "resnet18-small-images", "epochs": 200},
        32, 3, 50_000, 16,
    ),
    "imagenet": Size({**FILES, "backbone": "resnet50", "epochs": 200}, 224, 3, 1_281_167, 4),
}  # fmt: skip


class Noise:
    """Views that are ready, as training sees them; see `eqco.images.Images`."""

    num_classes, fingerprint, note = 1, "", "noise"

    def __init__(self, size: Size, batch: int, machine: Machine) -> None:
        self.shuffle = Shuffle(size.images, batch, 0)
        shape = (batch, size.channels, size.side, size.side)
        views = [torch.randn(shape, generator=generator_for(0, "speed", v)) for v in range(2)]
        first, second = (
            view.to(machine.device).contiguous(memory_format=torch.channels_last) for view in views
        )
        self.both = (first, second)

    def views(self, step: int) -> tuple[Tensor, Tensor]:
        """The same two views at every step."""
        return self.both

    def sample(self, count: int) -> tuple[Tensor, Tensor]:
        """Some of the views."""
        return self.both[0][:count], self.both[1][:count]

    def whole(self, part: str) -> Iterator[tuple[Tensor, Tensor]]:
        """No images are there to probe."""
        yield from ()


def images_per_second(size: Size, machine: Machine, seconds: float) -> float:
    """Images of training a second: a step that is not timed, then steps for some seconds.

    Args:
        size: what is trained.
        machine: device and threads.
        seconds: of timed steps, at least one of them.
    """
    torch.set_num_threads(machine.threads)
    on_cpu = machine.device == "cpu"
    batch = size.batch if on_cpu else size.recipe.batch_size
    recipe = replace(size.recipe, batch_size=batch, num_negatives=batch - 1, precision="float32")
    work = Pretraining(recipe, 0, Noise(size, batch, machine), machine)

    def step() -> float:
        work.advance()
        if not on_cpu:
            torch.cuda.synchronize()
        return time.perf_counter()

    clock = started = step()
    steps = 0
    while clock - started < seconds or not steps:
        clock, steps = step(), steps + 1
    return steps * batch / (clock - started)


def minutes(size: Size, rate: float) -> float:
    """Minutes of training of one run of a scale, without its probe."""
    return size.images * size.recipe.epochs / rate / 60
