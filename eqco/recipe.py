"""What a run is: `Recipe` holds what changes its result, `Machine` what does not."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from eqco.checks import SEED, Number, check_folder, check_name, shown
from eqco.contrast import LOSSES
from eqco.images import source_of
from eqco.images.views import AFTER_CROP, VIEWS
from eqco.methods import METHODS
from eqco.methods.encoder import BACKBONES, PROJECTORS
from eqco.negatives import DRAWINGS
from eqco.probes import PROBES

# Raise by one when the same recipe may give another number; older records then do not count.
NUMERICS = 1

PRECISIONS = ("float32", "bfloat16")

# What each field may be: a name in a registry, or a number in a range. `data` is checked apart.
NAMES: dict[str, Iterable[str]] = {
    "method": METHODS,
    "loss": LOSSES,
    "drawing": DRAWINGS,
    "views": [*VIEWS, *AFTER_CROP],
    "backbone": BACKBONES,
    "projector": PROJECTORS,
    "precision": PRECISIONS,
    "probe": PROBES,
}
RATE = Number(0, 1e6, open_low=True)  # larger ones overflow float32 in a few steps
SHARE = Number(0, 1, open_low=True)
MOMENTUM = Number(0, 1, open_high=True)
NUMBERS: dict[str, Number] = {
    "num_negatives": Number(1, whole=True),
    "alpha": Number(0, open_low=True, optional=True),
    "temperature": Number(0, open_low=True),
    "data_part": SHARE,
    "crop_scale": SHARE,
    "embedding_dim": Number(1, whole=True),
    "key_momentum": MOMENTUM,
    "batch_size": Number(2, whole=True),
    "epochs": Number(0, whole=True),
    "learning_rate": RATE,
    "warmup_epochs": Number(0),
    "sgd_momentum": MOMENTUM,
    "weight_decay": Number(0),
    "probe_epochs": Number(1, whole=True),
    "probe_learning_rate": RATE,
    "knn_neighbours": Number(1, whole=True),
    "queue_size": Number(0, whole=True),
    "bn_splits": Number(1, whole=True),
    "second_temperature": Number(0, open_low=True, optional=True),
    "image_size": Number(1, whole=True, optional=True),
}

# Fields that came after the first records: at these values they are not part of the digest.
LATER: dict[str, Any] = {
    "queue_size": 0,
    "bn_splits": 1,
    "projector": "bn",
    "second_temperature": None,
    "image_size": None,
    "probe": "features",
}


@dataclass(frozen=True)
class Recipe:
    """Everything that changes the result of a run, except the seed.

    Attributes:
        method: a name in `eqco.methods.METHODS`.
        loss: a name in `eqco.contrast.LOSSES`.
        num_negatives: negatives per query, K.
        alpha: EqCo's effective number of negatives; None with other losses.
        drawing: a name in `eqco.negatives.DRAWINGS`: "independent" per query or "shared".
        temperature: softmax temperature t, > 0. Losses use log-sum-exp and are finite at any t;
            below 0.023 e^{2/t} leaves the range of float32, so that far negatives weigh nothing.
        data: a name in `eqco.images.SOURCES`: "glyphs", "cifar10" or "folder:NAME-HASH", held in
            memory; "imagenet" or "part:NAME-HASH", read from files.
        data_part: fraction of the classes that is used, in (0, 1].
        views: a name in `eqco.images.views`: "glyphs" or "photos"; "moco-v2" of files.
        crop_scale: smallest area of a random crop, as a fraction.
        backbone: a name in `eqco.methods.encoder.BACKBONES`.
        embedding_dim: length of an embedding.
        key_momentum: EMA coefficient of the key encoder.
        batch_size: images per step, all devices together.
        epochs: passes over the data; 0 leaves the encoder untrained.
        learning_rate: peak rate of SGD; cosine to zero, per step.
        warmup_epochs: linear rise from a thousandth of the peak.
        sgd_momentum: momentum of SGD.
        weight_decay: of all parameters, norm layers too.
        precision: "float32" or "bfloat16" (autocast).
        probe_epochs: passes of the linear probe.
        probe_learning_rate: its peak rate, times 0.1 after 2/3 and 8/9 of its epochs.
        knn_neighbours: how many training images vote in the kNN metric.
        queue_size: keys in MoCo's queue; 0 for methods without one.
        bn_splits: parts of a batch that MoCo's batch norm treats apart; 1 otherwise.
        projector: a name in `eqco.methods.encoder.PROJECTORS`: "bn" (SiMo's head) or "mlp" (MoCo
            v2's).
        second_temperature: of the loss "dual_temperature"; None with other losses.
        image_size: side of the views of images read from files; None for data held in memory,
            whose views are as large as its images.
        probe: a name in `eqco.probes.PROBES`: "features" (fitted on features of whole images) or
            "crops" (MoCo's protocol: a linear layer on random crops).
    """

    method: str = "simo"
    loss: str = "infonce"
    num_negatives: int = 255
    alpha: float | None = None
    drawing: str = "independent"
    temperature: float = 0.2
    data: str = "glyphs"
    data_part: float = 1.0
    views: str = "glyphs"
    crop_scale: float = 0.8
    backbone: str = "small-gray"
    embedding_dim: int = 128
    key_momentum: float = 0.99
    batch_size: int = 256
    epochs: int = 15
    learning_rate: float = 0.16
    warmup_epochs: float = 1.0
    sgd_momentum: float = 0.9
    weight_decay: float = 1e-4
    precision: str = "float32"
    probe_epochs: int = 30
    probe_learning_rate: float = 3.0
    knn_neighbours: int = 1
    queue_size: int = 0
    bn_splits: int = 1
    projector: str = "bn"
    second_temperature: float | None = None
    image_size: int | None = None
    probe: str = "features"

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
        expected = source_of(self.data).from_files
        given = {
            "image_size": self.image_size is not None,
            "views": self.views in AFTER_CROP,
            "probe": self.probe == "crops",
        }
        for name, of_files in given.items():
            if of_files != expected:
                where = "read from files" if expected else "held in memory"
                raise ValueError(
                    f"{name}={getattr(self, name)!r} does not go with data {self.data!r}, which is "
                    f"{where}: images from files take image_size, views='moco-v2' and "
                    "probe='crops', images in memory take none of them"
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

    def check_method(self) -> None:
        """Raise ValueError where the method cannot give each query that many negatives."""
        method = METHODS[self.method]
        for name in {field for each in METHODS.values() for field in each.own_fields}:
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

    @property
    def from_files(self) -> bool:
        """Whether images are read from files during a run, rather than held in memory."""
        return source_of(self.data).from_files

    def available(self) -> int:
        """Negatives that each query can have: K at most."""
        return METHODS[self.method].available(self)

    def pool(self) -> int:
        """Keys that negatives are drawn from: the batch, or the queue."""
        return int(getattr(self, METHODS[self.method].pool))

    def loss_settings(self) -> dict[str, float]:
        """Keyword arguments of the loss in `eqco.contrast.LOSSES`."""
        names = ["temperature", LOSSES[self.loss].setting]
        return {name: getattr(self, name) for name in names if name}

    def digest(self, numerics: int | None = None) -> str:
        """First 8 hex digits of the SHA-256 of the recipe and NUMERICS, or older numerics."""
        numerics = NUMERICS if numerics is None else numerics
        values = {
            name: value
            for name, value in asdict(self).items()
            if name not in LATER or value != LATER[name]
        }
        text = json.dumps([values, numerics], sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()[:8]

    def run_id(self, seed: int, numerics: int | None = None) -> str:
        """Name of a run: `<method>-<loss>-k<K>-<digest>-s<seed>`.

        Raises:
            ValueError: the seed is no whole number of at least 0.
        """
        SEED.check("seed", seed)
        loss = self.loss if self.epochs else "untrained"
        return f"{self.method}-{loss}-k{self.num_negatives}-{self.digest(numerics)}-s{seed}"

    @classmethod
    def of(cls, values: dict[str, Any]) -> Recipe:
        """The recipe of a record; unknown fields are an error."""
        if not isinstance(values, dict):
            raise ValueError(f"a recipe is a table of fields, got {shown(values)}")
        known = [each.name for each in fields(cls)]
        for name in values:
            check_name("recipe field", name, known)
        return cls(**values)


PLACE: dict[str, Number] = {
    "threads": Number(1, whole=True),
    "workers": Number(0, whole=True),
    "checkpoint_seconds": Number(0),
}
DEVICES = ("cpu", "cuda", "mps", "xpu")


@dataclass(frozen=True)
class Machine:
    """Where and how a run happens: none of it may change the result.

    Attributes:
        device: torch device, such as "cpu" or "cuda".
        threads: CPU threads of torch.
        data_dir: folder of downloaded data, or the image folder of "folder:" data.
        checkpoints: folder of checkpoints and trained encoders.
        checkpoint_seconds: time between checkpoints.
        workers: processes that decode images, for each process that trains; 0 decodes in it.
        compile: whether encoders run through torch.compile: faster on a GPU, other roundings.
    """

    device: str = "cpu"
    threads: int = 2
    data_dir: Path = Path("data")
    checkpoints: Path = Path("runs/checkpoints")
    checkpoint_seconds: float = 20.0
    workers: int = 0
    compile: bool = False

    def __post_init__(self) -> None:
        for name, number in PLACE.items():
            object.__setattr__(self, name, number.check(name, getattr(self, name)))
        for name in ("data_dir", "checkpoints"):
            object.__setattr__(self, name, check_folder(name, getattr(self, name)))
        check_name("device", str(self.device).partition(":")[0], DEVICES)
        if not isinstance(self.device, str) or not isinstance(self.compile, bool):
            raise ValueError(
                f"device must be a text and compile true or false, got {shown(self.device)} and "
                f"{shown(self.compile)}"
            )
