"""Every random number of a run: generators that depend on (seed, labels) alone.

N images in the batch of all processes, n of them on this one.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from eqco.runtime.distributed import first_index, world_size


def seed_for(seed: int, *labels: int | str) -> int:
    """A seed that depends on another one and the labels alone: the first 63 bits of a SHA-256."""
    text = "/".join(str(part) for part in (seed, *labels))
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1


def generator_for(seed: int, *labels: int | str) -> torch.Generator:
    """A CPU generator that depends on the seed and the labels alone.

    Each step of a run draws from generators of its own, so that a resumed run needs no saved
    state, and runs with the same seed see the same batches and views whatever their loss.
    """
    return torch.Generator("cpu").manual_seed(seed_for(seed, *labels))


@dataclass(frozen=True)
class RankSlice:
    """The random numbers of one process's slice of a batch.

    Numbers are drawn for the whole batch, and those of the slice are taken, so that W processes use
    the numbers that one process uses.

    Attributes:
        generator: CPU generator, the same on every process.
        total: images in the whole batch.
        first: index of the slice's first image in the batch.
    """

    generator: torch.Generator
    total: int
    first: int


ViewSlices = tuple[RankSlice, ...]  # of views whose images stand one behind the other in a batch
RandomSource = torch.Generator | RankSlice | ViewSlices


def view_slices(
    names: Sequence[str], *, seed: int, step: int, total: int, images: int
) -> ViewSlices:
    """Slices of a step's views by name; this process makes `images`, of a batch of `total`."""
    first = first_index(images // len(names))
    return tuple(RankSlice(generator_for(seed, name, step), total, first) for name in names)


def uniform(count: int, low: float, high: float, source: RandomSource) -> Tensor:
    """`count` numbers from [low, high), shape (count,), on the CPU."""
    if isinstance(source, tuple):
        size = count // len(source)
        return torch.cat([uniform(size, low, high, part) for part in source])
    if isinstance(source, RankSlice):
        drawn = torch.rand(source.total, generator=source.generator, device="cpu")
        drawn = drawn[source.first : source.first + count]
    else:
        drawn = torch.rand(count, generator=source, device="cpu")
    return low + (high - low) * drawn


class Shuffle:
    """Which of `total` images a step takes: each epoch is its own permutation.

    A last batch that is not full is dropped. `name` is a label of the generator.
    """

    def __init__(self, total: int, batch_size: int, seed: int, name: str = "order") -> None:
        self.total, self.batch_size, self.seed, self.name = total, batch_size, seed, name
        self.per_epoch = total // batch_size
        self.known: tuple[int, Tensor] = (-1, torch.empty(0, device="cpu"))

    def rows(self, step: int) -> tuple[int, Tensor]:
        """The epoch of a step, and this process's n of its images."""
        epoch, place = divmod(step, self.per_epoch)
        if self.known[0] != epoch:
            generator = generator_for(self.seed, self.name, epoch)
            self.known = (epoch, torch.randperm(self.total, generator=generator, device="cpu"))
        size = self.batch_size // world_size()
        start = place * self.batch_size + first_index(size)
        return epoch, self.known[1][start : start + size]


def sample_rows(total: int, count: int, seed: int) -> Tensor:
    """`count` random places among `total`, or all; drawn apart from every training step."""
    return torch.randperm(total, generator=generator_for(seed, "describe"), device="cpu")[:count]
