"""Images of a run, from memory or from files: one protocol, and one place that chooses.

N images in the batch of all processes, n of them on this one, C channels, side S.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from torch import Tensor

from eqco.config import Machine, Settings
from eqco.data import in_memory
from eqco.data.image_folder import (
    ImageTree,
    identity,
    imagenet_name,
    scan,
    scan_unlabelled,
    unlabelled_identity,
)
from eqco.data.streaming import FromFiles
from eqco.runtime.rng import Shuffle
from eqco.runtime.text import plain
from eqco.runtime.validation import check_name, shown


class TrainingViews(Protocol):
    """What training sees of a data set.

    Attributes:
        shuffle: order of the training images; `shuffle.total` is their number.
    """

    shuffle: Shuffle

    def views(self, step: int) -> tuple[Tensor, Tensor]:
        """Query and key view of the step's images, normalised, (n, C, S, S) each."""


class Images(TrainingViews, Protocol):
    """What probes and diagnosis see of it, too.

    Attributes:
        num_classes: labels are 0 .. num_classes - 1; 1 where the images have no labels.
        fingerprint: 16 hex digits that identify the data.
        note: what a reader of a record should know, or "".
    """

    num_classes: int
    fingerprint: str
    note: str

    def sample(self, count: int) -> tuple[Tensor, Tensor]:
        """Query and key views of `count` random training images, or of all where fewer.

        Drawn apart from every training step; on the device of the data, or the CPU for files.
        """

    def whole(self, part: str) -> Iterator[tuple[Tensor, Tensor]]:
        """Normalised images, without random views, and labels of "train" or "held_out"."""


@dataclass(frozen=True)
class DataSource:
    """A kind of data set, as the text before the colon of a recipe's `data` names it.

    Attributes:
        open: (part, folder) -> data set; `part` is the fraction of its classes.
        identify: folder -> the recipe's `data`, for trees that users bring.
        images: what gives batches of the data set: in memory, or read from files during a run.
        hashed: whether `data` names the folder's content too: "folder:HASH".
    """

    open: Callable[[float, Path], Any]
    identify: Callable[[Path], str] | None = None
    images: type[in_memory.InMemory] | type[FromFiles] = in_memory.InMemory
    hashed: bool = False

    @property
    def from_files(self) -> bool:
        """Whether images are read during a run, rather than held in memory."""
        return self.images is FromFiles


def tree(
    kind: str,
    listed: Callable[[Path], ImageTree],
    content_hash: Callable[[Path], str],
    images: type[in_memory.InMemory] | type[FromFiles],
) -> DataSource:
    """A kind of trees that users bring, which a recipe names by their content."""

    def opened(_: float, folder: Path) -> in_memory.Dataset | ImageTree:
        return listed(folder) if images is FromFiles else in_memory.read_tree(listed(folder))

    return DataSource(opened, lambda folder: f"{kind}:{content_hash(folder)}", images, True)


SOURCES: dict[str, DataSource] = {
    "glyphs": DataSource(lambda part, _: in_memory.glyph_set(part)),
    "cifar10": DataSource(lambda _, folder: in_memory.cifar10_set(folder)),
    "folder": tree("folder", scan, identity, in_memory.InMemory),
    "imagenet": DataSource(lambda _, folder: scan(folder), imagenet_name, FromFiles),
    "part": tree("part", scan, identity, FromFiles),
    "images": tree("images", scan_unlabelled, unlabelled_identity, in_memory.InMemory),
    "files": tree("files", scan_unlabelled, unlabelled_identity, FromFiles),
}


def find_source(data: str) -> DataSource:
    """The source of a recipe's `data`, such as "glyphs" or "folder:HASH".

    Raises:
        ValueError: there is none of that name.
    """
    kind, colon, identity_part = data.partition(":")
    hashed = kind in SOURCES and SOURCES[kind].hashed
    check_name("data set", kind if colon and hashed else data, SOURCES)
    if colon and not identity_part:
        raise ValueError(f"data {data!r} lacks the hash of a folder: give --data")
    if data != plain(data):
        raise ValueError(f"data {shown(data)} holds characters that are not part of a folder hash")
    return SOURCES[kind]


def open_images(recipe: Settings, seed: int, machine: Machine) -> Images:
    """The images of a recipe; the only place that asks which kind they are.

    Raises:
        ValueError: the machine's folder holds other data, or none.
    """
    source = SOURCES[recipe.data.partition(":")[0]]
    if source.identify and content(here := source.identify(machine.data_dir)) != content(
        recipe.data
    ):
        raise ValueError(
            f"the recipe wants {recipe.data}, but {machine.data_dir} is {here}: files were added, "
            "removed, renamed or changed in size; put the earlier ones back, or train anew on these"
        )
    data: Any = source.open(recipe.data_part, machine.data_dir)
    return source.images(data, recipe, seed, machine)


def content(data: str) -> tuple[str, str]:
    """Kind and hash of a recipe's `data`; early recipes had "part:NAME-HASH"."""
    kind, _, name = data.partition(":")
    return kind, name.rpartition("-")[2]
