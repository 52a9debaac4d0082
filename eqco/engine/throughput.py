"""How fast this machine trains: images a second of the recipes of the tables' scales.

Views are noise that is ready, so decoding and cropping of files is not in it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

import torch
from torch import Tensor

from eqco.artifacts.run_files import Run
from eqco.config import Machine
from eqco.engine.precision import fast_precision
from eqco.engine.pretrain import Pretraining
from eqco.engine.run import settings_of_torch
from eqco.recipe import BASES, Recipe
from eqco.runtime.rng import Shuffle, generator_for

Views: TypeAlias = tuple[Tensor, Tensor]


@dataclass(frozen=True)
class Size:
    """What a run of a scale has to do, as far as its price depends on it.

    On a CPU steps of `batch` images are timed, since a whole batch takes too long.
    """

    recipe: Recipe
    side: int
    channels: int
    images: int
    batch: int


SIZES = {
    "glyphs": Size(BASES["glyphs"], 24, 1, 18_963, 256),
    "cifar10-quick": Size(BASES["cifar10-quick"], 32, 3, 50_000, 256),
    "cifar10-cpu": Size(BASES["cifar10-cpu"], 32, 3, 50_000, 256),
    "cifar10": Size(BASES["cifar10"], 32, 3, 50_000, 16),
    "imagenet": Size(BASES["imagenet"], 224, 3, 1_281_167, 4),
}


class ReadyViews:
    """Views that were made before, taken in turn; see `eqco.data.TrainingViews`."""

    def __init__(self, shuffle: Shuffle, views: Sequence[Views]) -> None:
        self.shuffle, self.made = shuffle, views

    def views(self, step: int) -> Views:
        return self.made[step % len(self.made)]


def noise(size: Size, batch: int, device: str) -> ReadyViews:
    """Noise of the size of a scale's views."""
    shape = (batch, size.channels, size.side, size.side)
    query, key = (
        torch.randn(shape, generator=generator_for(0, "speed", view), device="cpu")
        .to(device)
        .contiguous(memory_format=torch.channels_last)
        for view in range(2)
    )
    return ReadyViews(Shuffle(size.images, batch, 0), [(query, key)])


def seconds_per_call(
    call: Callable[[], object],
    device: str,
    *,
    rounds: int = 1,
    seconds: float = 0.0,
    warm_up: int = 1,
    clock: Callable[[], float] = time.perf_counter,
) -> float:
    """Mean time of a call, the work of the device included.

    Args:
        call: what is timed.
        device: where it works.
        rounds, seconds: timed calls, and time that they take; at least.
        warm_up: calls that are not timed: workers start, kernels are chosen.
        clock: wall time, or processor time.
    """

    def finished() -> float:
        torch.get_device_module(device).synchronize()  # does nothing on a CPU
        return clock()

    for _ in range(warm_up):
        call()
    start, done = finished(), 0
    while done < rounds or clock() - start < seconds:
        call()
        done += 1
    return (finished() - start) / done


def images_per_second(size: Size, machine: Machine, seconds: float) -> float:
    """Images of training a second, in the recipe's precision where it is not emulated.

    A first step is not timed, then steps for some seconds, at least one.
    """
    batch = size.batch if machine.device == "cpu" else size.recipe.batch_size
    precision = fast_precision(size.recipe.precision, machine.device)
    recipe = replace(size.recipe, batch_size=batch, num_negatives=batch - 1, precision=precision)
    with settings_of_torch(machine.threads):
        work = Pretraining(Run(recipe, 0, machine), noise(size, batch, machine.device))
        return batch / seconds_per_call(work.advance, machine.device, seconds=seconds)


def minutes(size: Size, rate: float) -> float:
    """Minutes of training of one run of a scale, without its probe."""
    return size.images * size.recipe.epochs / rate / 60
