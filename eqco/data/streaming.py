"""Images read from files while a run goes on; the same whatever the number of workers.

Worker processes decode and crop, the device does the rest of a view. N images in the batch of all
processes, n of them on this one, V views of each, side S.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import KW_ONLY, dataclass, replace
from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import Dataset

from eqco.config import Machine, Settings
from eqco.data.augmentations import AFTER_CROP, VIEW_NAMES, normalise, two_views
from eqco.data.dataloader import loader, start_server
from eqco.data.decode import decode
from eqco.data.image_folder import ImageTree, Split
from eqco.runtime.distributed import rank, world_size
from eqco.runtime.rng import Shuffle, generator_for, sample_rows, view_slices

PROBE_CROP_SCALE = 0.08
SIDES = (3 / 4, 4 / 3)  # width by height of a random crop
CHUNK = 256  # whole images through a backbone at once

# Of ImageNet's training pixels in [0, 1], as everybody uses them.
IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)


def random_box(
    height: int, width: int, crop_scale: float, generator: torch.Generator
) -> tuple[int, int, int, int]:
    """Top, left, height and width of a random part of an image, in pixels.

    The numbers of torchvision's `RandomResizedCrop`, which knows torch's own generator alone.
    """

    def uniform(low: float, high: float) -> Tensor:
        return torch.empty(1, device="cpu", dtype=torch.float32).uniform_(
            low, high, generator=generator
        )

    def integer(end: int) -> int:
        return int(torch.randint(end, (1,), generator=generator, device="cpu"))

    low, high = torch.tensor(SIDES, device="cpu", dtype=torch.float32).log().tolist()
    for _ in range(10):
        area = height * width * uniform(crop_scale, 1.0).item()
        sides = uniform(low, high).exp().item()
        w, h = round(math.sqrt(area * sides)), round(math.sqrt(area / sides))
        if 0 < w <= width and 0 < h <= height:
            return integer(height - h + 1), integer(width - w + 1), h, w
    # None fits: the middle, as much of it as the ratio of the sides allows.
    w = min(width, round(height * SIDES[1]))
    h = min(height, round(width / SIDES[0]))
    return (height - h) // 2, (width - w) // 2, h, w


@dataclass(eq=False)
class RandomCropDataset(Dataset[tuple[Tensor, int]]):
    """Random crops of the images of a split; item (epoch, index) depends on nothing else.

    Attributes:
        size: S, side of the crops.
        crop_scale: smallest area of a crop, as a fraction of the image.
        names: one for each of the V views of an image.
        flip: whether a crop is mirrored half of the time.
    """

    split: Split
    _: KW_ONLY
    size: int
    crop_scale: float
    seed: int
    names: Sequence[str]
    flip: bool = False

    def crop(self, image: Tensor, generator: torch.Generator) -> Tensor:
        """A random part of an image (3, H, W), resized to (3, S, S)."""
        from torchvision.transforms.v2 import functional  # takes a second

        height, width = image.shape[1:]
        box = random_box(height, width, self.crop_scale, generator)
        crop: Tensor = functional.resized_crop_image(image, *box, [self.size] * 2, antialias=True)
        mirrored = self.flip and torch.rand(1, generator=generator, device="cpu").item() < 0.5
        return crop.flip(-1) if mirrored else crop

    def __getitem__(self, place: tuple[int, int]) -> tuple[Tensor, int]:
        """Crops (V, 3, S, S) of an image, uint8, and its label."""
        epoch, index = place
        image = decode(self.split.path(index))
        generators = (generator_for(self.seed, name, epoch, index) for name in self.names)
        crops = torch.stack([self.crop(image, generator) for generator in generators])
        return crops, int(self.split.labels[index])


class CenterCropDataset(Dataset[tuple[Tensor, int]]):
    """Whole images of a split: shorter side resized to 8/7 of S, centre of side S cut out."""

    def __init__(self, split: Split, size: int) -> None:
        self.split = split
        from torchvision.transforms import v2

        self.transform = v2.Compose(
            [v2.Resize(round(size * 8 / 7), antialias=True), v2.CenterCrop(size)]
        )

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        """The centre (3, S, S), uint8, and its label."""
        return self.transform(decode(self.split.path(index))), int(self.split.labels[index])


def step_batches(shuffle: Shuffle, first: int, last: int) -> Iterator[list[tuple[int, int]]]:
    """Batches of (epoch, index) of this process for the steps `first` to `last` - 1."""
    for step in range(first, last):
        epoch, rows = shuffle.rows(step)
        yield [(epoch, index) for index in rows.tolist()]


class FromFiles:
    """Images of a tree, which workers decode and crop ahead; see `eqco.data.Images`."""

    note = ""

    def __init__(self, tree: ImageTree, recipe: Settings, seed: int, machine: Machine) -> None:
        if machine.workers:
            start_server()
        self.tree, self.recipe, self.seed, self.machine = tree, recipe, seed, machine
        self.num_classes, self.fingerprint = tree.num_classes, tree.fingerprint
        self.shuffle = Shuffle(len(tree.train), recipe.batch_size, seed)
        self.mean = torch.tensor(IMAGENET_MEAN, device=machine.device)
        self.std = torch.tensor(IMAGENET_STD, device=machine.device)
        self.crops = RandomCropDataset(
            tree.train,
            size=recipe.image_size or 224,
            crop_scale=recipe.crop_scale,
            seed=seed,
            names=VIEW_NAMES,
        )
        self.last = self.shuffle.per_epoch * recipe.epochs
        self.ahead: Iterator[Any] = iter(())
        self.next_step = -1

    def view(self, crops: Tensor, names: Sequence[str], step: int) -> Tensor:
        """The rest of a view, on crops (V * n, 3, S, S) in [0, 1]: normalised, channels last.

        `names` are of the V views that are made at once.
        """
        source = view_slices(
            names, seed=self.seed, step=step, total=self.recipe.batch_size, images=len(crops)
        )
        view = normalise(AFTER_CROP[self.recipe.views](crops, source), self.mean, self.std)
        return view.contiguous(memory_format=torch.channels_last)

    def views(self, step: int) -> tuple[Tensor, Tensor]:
        if step != self.next_step:  # a run begins, or continues from a checkpoint
            steps = step_batches(self.shuffle, step, self.last)
            self.ahead = loader(self.crops, self.machine, batch_sampler=steps)
        self.next_step = step + 1
        crops, _ = next(self.ahead)  # (n, 2, 3, S, S)
        crops = crops.to(self.machine.device, non_blocking=True).float() / 255
        return two_views(partial(self.view, step=step), crops[:, 0], crops[:, 1])

    def sample(self, count: int) -> tuple[Tensor, Tensor]:
        crops = replace(self.crops, names=[f"describe-{name}" for name in VIEW_NAMES])
        rows = sample_rows(self.shuffle.total, count, self.seed).tolist()
        both = torch.stack([crops[0, row][0] for row in rows]).float() / 255
        query, key = (
            AFTER_CROP[self.recipe.views](both[:, v], generator_for(self.seed, "describe", name))
            for v, name in enumerate(VIEW_NAMES)
        )
        mean, std = self.mean.cpu(), self.std.cpu()
        return normalise(query, mean, std), normalise(key, mean, std)

    def ready(self, images: Tensor) -> Tensor:
        """uint8 images (n, 3, S, S) on the device, normalised, channels last."""
        images = images.to(self.machine.device, non_blocking=True).float() / 255
        return normalise(images, self.mean, self.std).contiguous(memory_format=torch.channels_last)

    def whole(self, part: str) -> Iterator[tuple[Tensor, Tensor]]:
        """Normalised images and labels of "train" or "held_out": this process's share."""
        split = {"train": self.tree.train, "held_out": self.tree.held_out}[part]
        centres = CenterCropDataset(split, self.crops.size)
        share = range(rank(), len(split), world_size())
        for images, labels in loader(centres, self.machine, sampler=share, batch_size=CHUNK):
            yield self.ready(images), labels.to(self.machine.device)

    def probe_crops(
        self, shuffle: Shuffle, first: int, last: int
    ) -> Iterator[tuple[Tensor, Tensor]]:
        """Random crops (n, 3, S, S), uint8, and labels of the steps `first` to `last` - 1."""
        crops = replace(self.crops, names=("probe",), crop_scale=PROBE_CROP_SCALE, flip=True)
        steps = step_batches(shuffle, first, last)
        for images, labels in loader(crops, self.machine, batch_sampler=steps):
            yield images[:, 0], labels
