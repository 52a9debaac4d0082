"""Recipes: settings whose every field is checked against its registry or its range."""

from __future__ import annotations

from collections import ChainMap
from collections.abc import Iterable
from dataclasses import dataclass, fields, replace
from typing import Any

from eqco.config import LATER, Settings, numbers_of
from eqco.data import find_source
from eqco.data.augmentations import AFTER_CROP, VIEWS
from eqco.evaluation import PROBES
from eqco.losses.registry import LOSSES
from eqco.losses.sampling import DRAWINGS
from eqco.methods import METHODS
from eqco.methods.encoder import BACKBONES, PROJECTORS
from eqco.runtime.validation import check_name, shown

PRECISIONS = ("float32", "bfloat16")

# What each field may be: a name in a registry, or a number in a range. `data` is checked apart.
NAMES: dict[str, Iterable[str]] = {
    "method": METHODS,
    "loss": LOSSES,
    "drawing": DRAWINGS,
    "views": ChainMap[str, Any](VIEWS, AFTER_CROP),
    "backbone": BACKBONES,
    "projector": PROJECTORS,
    "precision": PRECISIONS,
    "probe": PROBES,
}
NUMBERS = numbers_of(Settings)


@dataclass(frozen=True)
class Recipe(Settings):
    """Settings that were checked: every name is known, every number lies in its range.

    Raises:
        ValueError: one sentence with the field and its value.
    """

    def __post_init__(self) -> None:
        for name, names in NAMES.items():
            check_name(name, getattr(self, name), names)
        for name, number in NUMBERS.items():  # 256 and 256.0 are one recipe, with one digest
            object.__setattr__(self, name, number.check(name, getattr(self, name)))
        self.check_images()
        self.check_loss()
        self.check_method()

    def check_images(self) -> None:
        """Raise ValueError where data, views, image size and probe do not fit together."""
        if not isinstance(self.data, str):
            raise ValueError(f"data must be the name of a data set, got {shown(self.data)}")
        expected = find_source(self.data).from_files
        from_files = {
            "image_size": self.image_size is not None,
            "views": self.views in AFTER_CROP,
            "probe": PROBES[self.probe].from_files,
        }
        for name, of_files in from_files.items():
            if of_files != expected:
                where = "read from files" if expected else "held in memory"
                raise ValueError(
                    f"{name}={getattr(self, name)!r} does not go with data {self.data!r}, which is "
                    f"{where}: images from files take image_size, views='moco-v2' and "
                    "probe='crops', images in memory take none of them"
                )
        if self.validation and expected:
            raise ValueError(
                f"validation={self.validation} goes with data held in memory, but data "
                f"{self.data!r} is read from files: leave validation at 0"
            )

    def check_loss(self) -> None:
        """Raise ValueError where a field of the loss is missing, or one of another is set."""
        for name in {loss.setting for loss in LOSSES.values()} - {""}:
            value, loss = getattr(self, name), LOSSES[self.loss]
            if loss.setting == name and value is None:
                example = f"{name}={loss.example:g}"
                raise ValueError(f"loss {self.loss!r} needs {name}, for instance {example}")
            if loss.setting != name and value is not None:
                raise ValueError(f"{name}={value} has no meaning for loss {self.loss!r}")
        if LOSSES[self.loss].averages and self.draws > 1:
            raise ValueError(
                f"draws={self.draws} does not go with loss {self.loss!r}, which keeps one average "
                "for each image: leave draws at 1"
            )
        if self.num_negatives < LOSSES[self.loss].fewest:
            raise ValueError(
                f"loss {self.loss!r} needs num_negatives of at least {LOSSES[self.loss].fewest}, "
                f"got {self.num_negatives}"
            )

    def check_method(self) -> None:
        """Raise ValueError where the method cannot give each query that many negatives."""
        method = METHODS[self.method]
        for name in {field for other in METHODS.values() for field in other.own_fields}:
            if name not in method.own_fields and getattr(self, name) != LATER[name]:
                raise ValueError(
                    f"{name}={getattr(self, name)} has no meaning for method {self.method!r}"
                )
        method.check(self)
        available = self.available()
        if not 1 <= self.num_negatives <= available:
            raise ValueError(
                f"num_negatives is {self.num_negatives}, but {method.title} with {method.pool}="
                f"{self.pool()} has 1 to {available} negatives for each query"
            )
        if self.num_negatives * self.draws > available:
            raise ValueError(
                f"draws is {self.draws}, but {method.title} with {method.pool}={self.pool()} has "
                f"{available} negatives for each query, enough for 1 to "
                f"{available // self.num_negatives} disjoint draws of {self.num_negatives}"
            )

    @property
    def from_files(self) -> bool:
        """Whether images are read from files during a run, rather than held in memory."""
        return find_source(self.data).from_files

    def available(self) -> int:
        """Negatives that each query can have: K at most."""
        return METHODS[self.method].available(self)

    def pool(self) -> int:
        """Keys that negatives are drawn from: the batch, or the queue."""
        return int(getattr(self, METHODS[self.method].pool))

    def loss_settings(self) -> dict[str, float]:
        """Keyword arguments of the loss in `eqco.losses.registry.LOSSES`."""
        names = ["temperature", LOSSES[self.loss].setting]
        return {name: getattr(self, name) for name in names if name}

    @classmethod
    def of(cls, values: dict[str, Any]) -> Recipe:
        """The recipe of a record; unknown fields are an error."""
        if not isinstance(values, dict):
            raise ValueError(f"a recipe is a table of fields, got {shown(values)}")
        known = [field.name for field in fields(cls)]
        for name in values:
            check_name("recipe field", name, known)
        return cls(**values)


GLYPHS = Recipe()
PHOTOGRAPHS = replace(
    GLYPHS,
    data="folder",
    views="photos",
    crop_scale=0.2,
    backbone="small-rgb",
    learning_rate=1.0,  # of seven rates the best for InfoNCE with all negatives
    knn_neighbours=200,
)
# SiMo with InfoNCE and all negatives, by the scale whose tables begin with it.
BASES = {
    "smoke": replace(
        GLYPHS, data_part=0.1, backbone="tiny-gray", batch_size=64, num_negatives=63, epochs=4
    ),
    "glyphs": GLYPHS,
    "cifar10-quick": PHOTOGRAPHS,
    "cifar10-cpu": replace(PHOTOGRAPHS, backbone="medium-rgb", epochs=50, learning_rate=0.3),
    "cifar10": replace(
        PHOTOGRAPHS,
        data="cifar10",
        backbone="resnet18-small-images",
        epochs=200,
        learning_rate=0.12,
        warmup_epochs=10.0,
        weight_decay=5e-4,
        precision="bfloat16",
        probe_epochs=90,
    ),
    "imagenet": replace(
        GLYPHS,
        data="imagenet",
        views="moco-v2",
        crop_scale=0.2,
        image_size=224,
        backbone="resnet50",
        key_momentum=0.999,
        epochs=200,
        learning_rate=0.03,
        warmup_epochs=10.0,
        precision="bfloat16",
        probe="crops",
        probe_epochs=90,
        probe_learning_rate=30.0,
        knn_neighbours=200,
    ),
}
# What the images of each scale are.
IMAGES = {
    "smoke": "a tenth of the glyphs",
    "glyphs": "drawn characters, embedded",
    "cifar10-quick": "CIFAR-10 as JPEG",
    "cifar10-cpu": "CIFAR-10 as JPEG",
    "cifar10": "CIFAR-10, downloaded",
    "imagenet": "ImageNet-1k, a folder of yours",
}
