"""What a run is: `Recipe` holds what changes the number, `Machine` what does not."""

from __future__ import annotations

import difflib
import hashlib
import json
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

from eqco.theory import positive_finite

# Raise by one whenever the same recipe may give another number; older records then do not count.
NUMERICS = 1

LOSS_NAMES = ("infonce", "eqco", "dcl", "flat_nce", "dual_temperature")
METHOD_NAMES = ("simo", "moco", "simclr")
DRAWING_NAMES = ("independent", "shared")
PROBE_NAMES = ("features", "crops")

# Fields that came after the first records: at these values they are not part of the digest.
LATER: dict[str, Any] = {
    "queue_size": 0,
    "bn_splits": 1,
    "projector": "bn",
    "second_temperature": None,
    "image_size": None,
    "probe": "features",
}


def nearest(kind: str, name: str, known: tuple[str, ...] | list[str]) -> str:
    """One sentence for an unknown name, with the names most like it."""
    close = difflib.get_close_matches(name, known, n=3, cutoff=0.4) or list(known)
    return f"unknown {kind} {name!r}: did you mean {' or '.join(close)}?"


def check_name(kind: str, name: str, known: tuple[str, ...] | list[str]) -> None:
    """Raise ValueError with the nearest names where `name` is not known."""
    if name not in known:
        raise ValueError(nearest(kind, name, known))


@dataclass(frozen=True)
class Recipe:
    """Everything that changes the result of a run, except the seed.

    Attributes:
        method: "simo", "moco" or "simclr".
        loss: a name in `eqco.contrast.LOSSES`.
        num_negatives: negatives per query, K.
        alpha: EqCo's effective number of negatives; None with other losses.
        drawing: how negatives are drawn, "independent" per query or "shared".
        temperature: softmax temperature.
        data: "glyphs", "cifar10" or "folder:NAME-HASH", held in memory (see `eqco.data`);
            "imagenet" or "part:NAME-HASH", read from files (see `eqco.tree`).
        data_part: fraction of the classes that is used, in (0, 1].
        views: "glyphs" or "photos", the random views (see `eqco.views`); "moco-v2" of files.
        crop_scale: smallest area of a random crop, as a fraction.
        backbone: a name in `eqco.encoder.BACKBONES`.
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
        projector: "bn" (SiMo's head) or "mlp" (MoCo v2's).
        second_temperature: of the loss "dual_temperature"; None with other losses.
        image_size: side of the views of images read from files; None for data held in memory,
            whose views are as large as its images.
        probe: "features" (fitted on features of whole images) or "crops" (MoCo's protocol: a
            linear layer on random crops).
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
        for each in fields(self):  # 256 and 256.0 are one recipe and must have one digest
            value = getattr(self, each.name)
            if each.type in ("float", "float | None") and value is not None:
                object.__setattr__(self, each.name, float(value))
        check_name("method", self.method, METHOD_NAMES)
        check_name("loss", self.loss, LOSS_NAMES)
        check_name("drawing", self.drawing, DRAWING_NAMES)
        check_name("precision", self.precision, ("float32", "bfloat16"))
        check_name("probe", self.probe, PROBE_NAMES)
        if (self.image_size is not None) != (self.probe == "crops"):
            raise ValueError(
                f"probe={self.probe!r} with image_size={self.image_size}: images read from files "
                "have an image_size and probe='crops', data held in memory has neither"
            )
        for name in ("temperature", "learning_rate", "probe_learning_rate"):
            positive_finite(name, getattr(self, name))
        for loss, name, example in (
            ("eqco", "alpha", "256"),
            ("dual_temperature", "second_temperature", "1"),
        ):
            value = getattr(self, name)
            if self.loss == loss and value is None:
                raise ValueError(f"loss {loss!r} needs {name}, for instance {name}={example}")
            if self.loss != loss and value is not None:
                raise ValueError(f"{name}={value} has no meaning for loss {self.loss!r}")
            if value is not None:
                positive_finite(name, value)
        if self.epochs < 0 or self.probe_epochs < 1:
            raise ValueError(f"epochs={self.epochs} and probe_epochs={self.probe_epochs} cannot be")
        if not 0 < self.data_part <= 1:
            raise ValueError(f"data_part must lie in (0, 1], got {self.data_part}")
        self.check_negatives()

    def check_negatives(self) -> None:
        """Raise ValueError where the method cannot give each query that many negatives."""
        if (self.method == "moco") != (self.queue_size > 0):
            raise ValueError(
                f"queue_size={self.queue_size} with method {self.method!r}: 'moco' has a queue, "
                "the others have none"
            )
        if self.bn_splits < 1 or self.batch_size % self.bn_splits:
            raise ValueError(
                f"bn_splits is {self.bn_splits}, which does not divide a batch of {self.batch_size}"
            )
        if self.method == "moco" and self.queue_size < self.batch_size:
            raise ValueError(
                f"queue holds {self.queue_size} keys, the batch brings {self.batch_size}: enlarge "
                "queue_size"
            )
        if not 1 <= self.num_negatives <= self.available():
            place = (
                f"a queue of {self.queue_size}"
                if self.method == "moco"
                else f"a batch of {self.batch_size}"
            )
            raise ValueError(
                f"num_negatives is {self.num_negatives}, but {place} has 1 to {self.available()} "
                "negatives for each query"
            )

    @property
    def from_files(self) -> bool:
        """Whether images are read from files while it runs, rather than held in memory."""
        return self.image_size is not None

    def available(self) -> int:
        """Negatives that each query can have: K at most."""
        if self.method == "moco":
            return self.queue_size
        return self.batch_size - 1 if self.method == "simo" else 2 * (self.batch_size - 1)

    def loss_settings(self) -> dict[str, float]:
        """Keyword arguments of the loss in `eqco.contrast.LOSSES`."""
        settings = {
            "temperature": self.temperature,
            "alpha": self.alpha,
            "second_temperature": self.second_temperature,
        }
        return {name: value for name, value in settings.items() if value is not None}

    def digest(self) -> str:
        """First 8 hex digits of the SHA-256 of the recipe and NUMERICS."""
        values = {
            name: value
            for name, value in asdict(self).items()
            if name not in LATER or value != LATER[name]
        }
        text = json.dumps([values, NUMERICS], sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()[:8]

    def run_id(self, seed: int) -> str:
        """Name of a run: `<method>-<loss>-k<K>-<digest>-s<seed>`."""
        loss = self.loss if self.epochs else "untrained"
        return f"{self.method}-{loss}-k{self.num_negatives}-{self.digest()}-s{seed}"

    @classmethod
    def of(cls, values: dict[str, Any]) -> Recipe:
        """The recipe of a record; unknown fields are an error."""
        known = [each.name for each in fields(cls)]
        for name in values:
            check_name("recipe field", name, known)
        return cls(**values)


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


@dataclass(frozen=True)
class Scale:
    """A size at which tables run.

    Attributes:
        base: recipe of the full-K InfoNCE baseline.
        negatives: the K of table 1, ascending; the last is all there are.
        price: what table 1 costs with one seed, in words.
        evidence: whether a claim is judged here.
        paper: whether this is the paper's own setting, where published numbers are compared.
    """

    base: Recipe
    negatives: tuple[int, ...]
    price: str
    evidence: bool = True
    paper: bool = False


GLYPHS = Recipe()
SCALES = {
    "smoke": Scale(
        base=replace(
            GLYPHS, data_part=0.1, backbone="tiny-gray", batch_size=64, num_negatives=63, epochs=4
        ),
        negatives=(4, 16, 63),
        price="about a minute on 2 cores",
        evidence=False,
    ),
    "glyphs": Scale(base=GLYPHS, negatives=(4, 16, 64, 255), price="6 minutes on 2 cores"),
    "photos": Scale(
        base=replace(
            GLYPHS,
            data="folder",
            views="photos",
            crop_scale=0.2,
            backbone="small-rgb",
            epochs=10,
            knn_neighbours=200,
        ),
        negatives=(4, 16, 64, 255),
        price="about 3 minutes a row on 2 cores for 50,000 images",
    ),
    "cifar10": Scale(
        base=replace(
            GLYPHS,
            data="cifar10",
            views="photos",
            crop_scale=0.2,
            backbone="resnet18-small-images",
            epochs=200,
            learning_rate=0.12,
            warmup_epochs=10.0,
            weight_decay=5e-4,
            precision="bfloat16",
            probe_epochs=90,
            knn_neighbours=200,
        ),
        negatives=(4, 16, 64, 255),
        price="hours on one GPU",
    ),
    "imagenet": Scale(
        base=replace(
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
        negatives=(4, 16, 64, 255),
        price="days on 8 GPUs a run: python -m eqco plan --scale imagenet",
        paper=True,
    ),
}
