"""Images from files: decoded and cropped in worker processes, the same whatever their number.

N images in the batch of all processes, n of them on this one, V views of each, side S.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image, UnidentifiedImageError
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler
from torchvision.transforms import v2

from eqco.parallel import first_of, rank, world_size
from eqco.recipe import Machine
from eqco.tree import Split
from eqco.views import generator_for, seed_for


def decode(path: Path) -> Tensor:
    """An image of any format and colour that Pillow reads, as uint8 (3, H, W).

    Raises:
        ValueError: it cannot be read.
    """
    try:
        with Image.open(path) as opened:
            pixels = np.array(opened.convert("RGB"))
    except (UnidentifiedImageError, OSError) as error:
        raise ValueError(f"cannot read image {path}: {error}; mend or remove it") from error
    return torch.from_numpy(pixels).permute(2, 0, 1).contiguous()


class Crops(Dataset[tuple[Tensor, int]]):
    """Random crops of the images of a split; item (epoch, index) depends on nothing else.

    Args:
        split: the images.
        size: S, side of the crops.
        crop_scale: smallest area of a crop, as a fraction of the image.
        seed: of the crops.
        names: one for each of the V views of an image.
        flip: whether a crop is mirrored half of the time.
    """

    def __init__(
        self,
        split: Split,
        *,
        size: int,
        crop_scale: float,
        seed: int,
        names: Sequence[str],
        flip: bool = False,
    ) -> None:
        self.split, self.seed, self.names = split, seed, tuple(names)
        crop = v2.RandomResizedCrop(size, (crop_scale, 1.0), antialias=True)
        self.transform = v2.Compose([crop, v2.RandomHorizontalFlip()]) if flip else crop

    def __getitem__(self, place: tuple[int, int]) -> tuple[Tensor, int]:
        """Crops (V, 3, S, S) of an image, uint8, and its label."""
        epoch, index = place
        image = decode(self.split.path(index))
        crops = []
        with torch.random.fork_rng(devices=[]):
            for name in self.names:
                torch.manual_seed(seed_for(self.seed, name, epoch, index))
                crops.append(self.transform(image))
        return torch.stack(crops), int(self.split.labels[index])


class Centres(Dataset[tuple[Tensor, int]]):
    """Whole images of a split: shorter side resized to 8/7 of S, centre of side S cut out."""

    def __init__(self, split: Split, size: int) -> None:
        self.split = split
        self.transform = v2.Compose(
            [v2.Resize(round(size * 8 / 7), antialias=True), v2.CenterCrop(size)]
        )

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        """The centre (3, S, S), uint8, and its label."""
        return self.transform(decode(self.split.path(index))), int(self.split.labels[index])


class Shuffle:
    """Which images a step takes: each epoch is a permutation of its own.

    A last batch that is not full is dropped.

    Args:
        total: images there are.
        batch_size: N.
        seed: of the permutations.
        name: of their use.
    """

    def __init__(self, total: int, batch_size: int, seed: int, name: str = "order") -> None:
        self.total, self.batch_size, self.seed, self.name = total, batch_size, seed, name
        self.per_epoch = total // batch_size
        self.known: tuple[int, Tensor] = (-1, torch.empty(0))

    def rows(self, step: int) -> tuple[int, Tensor]:
        """The epoch of a step, and this process's n of its images."""
        epoch, place = divmod(step, self.per_epoch)
        if self.known[0] != epoch:
            generator = generator_for(self.seed, self.name, epoch)
            self.known = (epoch, torch.randperm(self.total, generator=generator))
        size = self.batch_size // world_size()
        start = place * self.batch_size + first_of(size)
        return epoch, self.known[1][start : start + size]


class Steps(Sampler[list[tuple[int, int]]]):
    """Batches of (epoch, index) of this process for the steps `first` to `last` - 1."""

    def __init__(self, shuffle: Shuffle, first: int, last: int) -> None:
        self.shuffle, self.first, self.last = shuffle, first, last

    def __len__(self) -> int:
        return self.last - self.first

    def __iter__(self) -> Iterator[list[tuple[int, int]]]:
        for step in range(self.first, self.last):
            epoch, rows = self.shuffle.rows(step)
            yield [(epoch, index) for index in rows.tolist()]


def one_thread(_: int) -> None:
    """What a worker process starts with: the workers are the parallelism."""
    torch.set_num_threads(1)


def loader(dataset: Dataset[Any], machine: Machine, **batches: Any) -> DataLoader[Any]:
    """torch's loader with the machine's workers.

    Args:
        dataset: of this module.
        machine: its `workers` decode ahead; 0 decodes in this process.
        batches: `batch_sampler`, or `sampler` and `batch_size`.
    """
    return DataLoader(
        dataset,
        num_workers=machine.workers,
        pin_memory=machine.device.startswith("cuda"),
        worker_init_fn=one_thread,
        **batches,
    )


def own_share(total: int) -> range:
    """Every W-th of `total` images, for the process that looks at each image once."""
    return range(rank(), total, world_size())
