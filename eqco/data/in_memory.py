"""Data sets held in memory, as one uint8 tensor (M, C, S, S) each; `streaming.py` has the others.

N images in the batch of all processes, n of them on this one, C channels, side S.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from eqco.config import Machine, Settings
from eqco.data import glyphs
from eqco.data.augmentations import MILD, VIEWS, normalise, two_views
from eqco.data.decode import picture
from eqco.data.image_folder import ImageTree
from eqco.runtime.files import locked_folder
from eqco.runtime.rng import Shuffle, generator_for, sample_rows, view_slices
from eqco.runtime.transfer import to_device

SIDE = 32  # pixels, of images of a tree
CHUNK = 1024  # images through a backbone at once


@dataclass(frozen=True)
class Dataset:
    """Images with labels, a training part and a held-out part.

    Attributes:
        train_images, test_images: uint8, shape (M, C, S, S).
        train_labels, test_labels: int64, shape (M,).
        num_classes: labels are 0 .. num_classes - 1.
        fingerprint: 16 hex digits of the SHA-256 of pixels and labels.
        note: what a reader of a record should know, or "".
    """

    train_images: Tensor
    train_labels: Tensor
    test_images: Tensor
    test_labels: Tensor
    num_classes: int
    fingerprint: str
    note: str = ""

    def to(self, device: str) -> Dataset:
        """A copy on a device."""
        moved: dict[str, Any] = {
            name: part.to(device) for name, part in vars(self).items() if isinstance(part, Tensor)
        }
        return replace(self, **moved)

    def channel_statistics(self) -> tuple[Tensor, Tensor]:
        """Mean and standard deviation of the training pixels in [0, 1], each of shape (C,)."""
        channels = self.train_images.transpose(0, 1)
        counts = [torch.bincount(channel.flatten(), minlength=256) for channel in channels]
        share = torch.stack(counts).double()  # (C, 256)
        share /= share.sum(dim=1, keepdim=True)
        level = torch.arange(256, dtype=torch.float64, device=share.device) / 255
        mean = (share * level).sum(dim=1)
        var = (share * level**2).sum(dim=1) - mean**2
        return mean.float(), var.sqrt().float()


def glyph_set(part: float) -> Dataset:
    """The embedded set, or the classes of its evenly spaced `part`."""
    _, train, test = glyphs.render()
    count = max(2, round(len(train) * part))
    keep = torch.arange(count, device="cpu") * len(train) // count
    train, test, new = train[keep], test[keep], glyphs.unseen()[keep]
    labels = torch.arange(len(keep), device="cpu")
    drawn = glyphs.fingerprint()
    note = "" if drawn == glyphs.FINGERPRINT else (
        f"glyphs drawn here have fingerprint {drawn}, the committed evidence has "
        f"{glyphs.FINGERPRINT}: another Pillow or matplotlib, so numbers may differ slightly"
    )  # fmt: skip
    return Dataset(
        train.flatten(0, 1)[:, None],
        labels.repeat_interleave(train.shape[1]),
        test[new][:, None],
        labels[:, None].expand_as(new)[new],
        len(keep),
        drawn,
        note,
    )


def hash_tensors(*parts: Tensor) -> str:
    """First 16 hex digits of the SHA-256 of tensors."""
    digest = hashlib.sha256()
    for part in parts:
        digest.update(part.contiguous().numpy().tobytes())
    return digest.hexdigest()[:16]


def validation_split(data: Dataset, count: int) -> Dataset:
    """The set with `count` of its training images in place of the held-out ones.

    They are those with the smallest SHA-256 of their pixels: the choice depends neither on a seed
    nor on the order of the images, and copies of an image are on one side but for the last place.

    Raises:
        ValueError: fewer than `count` + 2 training images.
    """
    total = len(data.train_images)
    if total < count + 2:
        raise ValueError(
            f"validation is {count}, but the data has only {total} training images: choose "
            f"{max(0, total - 2)} at most"
        )
    pixels = data.train_images.numpy()
    hashes = [hashlib.sha256(image.tobytes()).digest() for image in pixels]
    order = torch.tensor(sorted(range(total), key=hashes.__getitem__), device="cpu")
    kept, out = order[count:].sort().values, order[:count].sort().values
    return replace(
        data,
        train_images=data.train_images[kept],
        train_labels=data.train_labels[kept],
        test_images=data.train_images[out],
        test_labels=data.train_labels[out],
    )


def cifar10_set(data_dir: Path) -> Dataset:
    """CIFAR-10 through torchvision, downloaded into `data_dir` where it is not there yet.

    One process downloads, others on the same disk wait for it.
    """
    from torchvision.datasets import CIFAR10

    parts: list[Any] = []
    for train in (True, False):
        try:
            source = CIFAR10(str(data_dir), train=train)
        except RuntimeError:  # not there, or not whole
            with locked_folder(data_dir):
                source = CIFAR10(str(data_dir), train=train, download=True)
        parts.append(torch.from_numpy(source.data).permute(0, 3, 1, 2).contiguous())
        parts.append(torch.tensor(source.targets, device="cpu"))
    return Dataset(parts[0], parts[1], parts[2], parts[3], 10, hash_tensors(*parts))


def read_images(paths: Sequence[Path], side: int) -> Tensor:
    """Images as uint8 (M, 3, side, side): shorter edge resized to `side`, centre cut out."""
    from PIL import Image, ImageOps

    pixels = np.empty((len(paths), 3, side, side), dtype=np.uint8)
    for row, path in enumerate(paths):
        image = picture(path)
        if image.size != (side, side):
            image = ImageOps.fit(image, (side, side), Image.Resampling.BICUBIC)
        pixels[row] = np.asarray(image).transpose(2, 0, 1)
    return torch.from_numpy(pixels)


@cache
def read_tree(tree: ImageTree) -> Dataset:
    """The images of a tree, resized to 32 pixels; without held-out ones where it has none."""
    images = read_images(tree.train.paths() + tree.held_out.paths(), SIDE)
    split = len(tree.train)
    parts = (images[:split], tree.train.labels, images[split:], tree.held_out.labels)
    return Dataset(*parts, tree.num_classes, hash_tensors(*parts))


class InMemory:
    """Images that are held on the machine's device as a whole; see `eqco.data.Images`."""

    def __init__(self, data: Dataset, recipe: Settings, seed: int, machine: Machine) -> None:
        if recipe.validation:
            data = validation_split(data, recipe.validation)
        self.data, self.recipe, self.seed = data.to(machine.device), recipe, seed
        self.shuffle = Shuffle(len(data.train_images), recipe.batch_size, seed)
        mean, std = data.channel_statistics()  # on the CPU: not every device has float64
        std = torch.where(std > 1e-6, std, 1.0)  # a channel of one value is not divided by 0
        self.mean, self.std = mean.to(machine.device), std.to(machine.device)
        self.num_classes, self.fingerprint = data.num_classes, data.fingerprint
        self.note = data.note

    def images(self, rows: Tensor) -> Tensor:
        """Training images (n, C, S, S) in [0, 1]."""
        images = self.data.train_images
        return images[to_device(rows, images.device)].float() / 255

    def ready(self, images: Tensor) -> Tensor:
        """Images in [0, 1], normalised."""
        return normalise(images, self.mean, self.std)

    def view(self, images: Tensor, names: Sequence[str], step: int) -> Tensor:
        """A random view of images (V * n, C, S, S) in [0, 1], normalised, channels last.

        `names` are of the V views that are made at once.
        """
        source = view_slices(
            names, seed=self.seed, step=step, total=self.recipe.batch_size, images=len(images)
        )
        view = VIEWS[self.recipe.views](images, self.recipe.crop_scale, source)
        return self.ready(view).contiguous(memory_format=torch.channels_last)

    def views(self, step: int) -> tuple[Tensor, Tensor]:
        images = self.images(self.shuffle.rows(step)[1])
        return two_views(partial(self.view, step=step), images, images)

    def sample(self, count: int) -> tuple[Tensor, Tensor]:
        images = self.images(sample_rows(self.shuffle.total, count, self.seed))
        view, scale = VIEWS[self.recipe.views], self.recipe.crop_scale
        query, key = (
            self.ready(view(images, scale, generator_for(self.seed, "describe", name)))
            for name in ("query", "key")
        )
        return query, key

    def chunks(self, part: str) -> Iterator[tuple[Tensor, Tensor]]:
        """Images in [0, 1] and labels of "train" or "held_out"."""
        images, labels = {
            "train": (self.data.train_images, self.data.train_labels),
            "held_out": (self.data.test_images, self.data.test_labels),
        }[part]
        chunks = zip(torch.split(images, CHUNK), torch.split(labels, CHUNK), strict=True)
        for chunk, chunk_labels in chunks:
            yield chunk.float() / 255, chunk_labels

    def whole(self, part: str) -> Iterator[tuple[Tensor, Tensor]]:
        for images, labels in self.chunks(part):
            yield self.ready(images), labels

    def perturbed(self, part: str, views: int) -> Iterator[tuple[Tensor, Tensor]]:
        """Normalised views (MILD ones) of every image and labels, the same for every run."""
        mild = MILD[self.recipe.views]
        for view in range(views):
            generator = generator_for(0, "perturbed", part, view)
            for images, labels in self.chunks(part):
                yield self.ready(mild(images, generator)), labels
