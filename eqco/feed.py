"""What a training step sees: two random views of its images, from memory or from files.

N images in the batch of all processes, n of them on this one, C channels, side S.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from eqco.data import Dataset
from eqco.loading import Crops, Shuffle, Steps, loader
from eqco.parallel import first_of
from eqco.photometric import AFTER_CROP
from eqco.recipe import Machine, Recipe
from eqco.tree import ImageTree
from eqco.views import VIEWS, Part, generator_for, normalise

Data = Dataset | ImageTree
VIEW_NAMES = ("query", "key")

# Of ImageNet's training pixels in [0, 1], as everybody uses them.
IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)


def statistics_of(data: Data, device: str) -> tuple[Tensor, Tensor]:
    """Mean and deviation of the channels, (C,) each: of the data held, or ImageNet's."""
    if isinstance(data, Dataset):
        return data.channel_statistics()
    return torch.tensor(IMAGENET_MEAN, device=device), torch.tensor(IMAGENET_STD, device=device)


class InMemory:
    """Views of a data set that is held on the device as a whole."""

    def __init__(self, data: Dataset, recipe: Recipe, seed: int) -> None:
        self.data, self.recipe, self.seed = data, recipe, seed
        self.shuffle = Shuffle(len(data.train_images), recipe.batch_size, seed)
        self.mean, self.std = data.channel_statistics()

    def view(self, images: Tensor, name: str, step: int) -> Tensor:
        """A random view of images (n, C, S, S) in [0, 1], normalised, channels last."""
        source = Part(
            generator_for(self.seed, name, step), self.recipe.batch_size, first_of(len(images))
        )
        view = VIEWS[self.recipe.views](images, self.recipe.crop_scale, source)
        view = normalise(view, self.mean, self.std)
        return view.contiguous(memory_format=torch.channels_last)

    def views(self, step: int) -> tuple[Tensor, Tensor]:
        """Query and key view of the step's images, (n, C, S, S) each."""
        _, rows = self.shuffle.rows(step)
        images = self.data.train_images[rows.to(self.data.train_images.device)].float() / 255
        return self.view(images, "query", step), self.view(images, "key", step)


class FromFiles:
    """Views of an image tree: crops come from worker processes, the rest is done on the device."""

    def __init__(self, tree: ImageTree, recipe: Recipe, seed: int, machine: Machine) -> None:
        if recipe.image_size is None:
            raise ValueError(f"data {recipe.data} is read from files: give the recipe image_size")
        self.recipe, self.seed, self.machine = recipe, seed, machine
        self.shuffle = Shuffle(len(tree.train), recipe.batch_size, seed)
        self.mean, self.std = statistics_of(tree, machine.device)
        self.crops = Crops(
            tree.train,
            size=recipe.image_size,
            crop_scale=recipe.crop_scale,
            seed=seed,
            names=VIEW_NAMES,
        )
        self.last = self.shuffle.per_epoch * recipe.epochs
        self.ahead: Iterator[Any] = iter(())
        self.next_step = -1

    def view(self, crops: Tensor, name: str, step: int) -> Tensor:
        """The rest of a view, on crops (n, 3, S, S) in [0, 1]: normalised, channels last."""
        source = Part(
            generator_for(self.seed, name, step), self.recipe.batch_size, first_of(len(crops))
        )
        view = normalise(AFTER_CROP[self.recipe.views](crops, source), self.mean, self.std)
        return view.contiguous(memory_format=torch.channels_last)

    def views(self, step: int) -> tuple[Tensor, Tensor]:
        """Query and key view of the step's images, (n, 3, S, S) each."""
        if step != self.next_step:  # a run begins, or goes on from a checkpoint
            steps = Steps(self.shuffle, step, self.last)
            self.ahead = iter(loader(self.crops, self.machine, batch_sampler=steps))
        self.next_step = step + 1
        crops, _ = next(self.ahead)  # (n, 2, 3, S, S)
        crops = crops.to(self.machine.device, non_blocking=True).float() / 255
        return self.view(crops[:, 0], "query", step), self.view(crops[:, 1], "key", step)


Feed = InMemory | FromFiles


def feed_of(data: Data, recipe: Recipe, seed: int, machine: Machine) -> Feed:
    """The feed that fits the data."""
    if isinstance(data, Dataset):
        return InMemory(data, recipe, seed)
    return FromFiles(data, recipe, seed, machine)


def some_views(data: Data, recipe: Recipe, seed: int, count: int) -> tuple[Tensor, Tensor]:
    """Query and key views of `count` random training images, or of all where there are fewer.

    Drawn apart from every training step; on the device of the data, or the CPU for files.
    """
    total = len(data.train_images if isinstance(data, Dataset) else data.train)
    rows = torch.randperm(total, generator=generator_for(seed, "describe"))[:count]
    sources = [generator_for(seed, "describe", name) for name in VIEW_NAMES]
    if isinstance(data, Dataset):
        images = data.train_images[rows.to(data.train_images.device)].float() / 255
        made = [VIEWS[recipe.views](images, recipe.crop_scale, source) for source in sources]
    else:
        crops = Crops(
            data.train,
            size=recipe.image_size or 224,
            crop_scale=recipe.crop_scale,
            seed=seed,
            names=[f"describe-{name}" for name in VIEW_NAMES],
        )
        both = torch.stack([crops[0, row][0] for row in rows.tolist()]).float() / 255
        made = [AFTER_CROP[recipe.views](both[:, v], s) for v, s in enumerate(sources)]
    mean, std = statistics_of(data, str(made[0].device))
    return normalise(made[0], mean, std), normalise(made[1], mean, std)
