"""What a run is, as plain data: `Settings` are the fields of a recipe, `Machine` is where it runs.

Modules that a recipe's checks need (methods, images, probes) read these; `eqco.recipe` checks them.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, replace
from functools import cache
from pathlib import Path
from typing import Annotated, Any, get_origin, get_type_hints

from eqco.runtime.validation import (
    COUNT,
    HARDNESS,
    SEED,
    SOG_GAMMA,
    Number,
    check_folder,
    check_name,
    shown,
)  # fmt: skip

RATE = Number(0, 1e6, open_low=True)  # larger ones overflow float32 in a few steps
SHARE = Number(0, 1, open_low=True)
MOMENTUM = Number(0, 1, open_high=True)
TEMPERATURE = Number(1e-4, 1e6)  # similarities over it stay in the range of float32

# Raise by one when the same recipe may give another number; older records then do not count.
NUMERICS = 2

# Fields that came after the first records: at these values they are not part of the digest.
LATER: dict[str, Any] = {
    "queue_size": 0,
    "bn_splits": 1,
    "projector": "bn",
    "second_temperature": None,
    "image_size": None,
    "probe": "features",
    "draws": 1,
    "probe_penalty": 3e-4,
    "hardness": None,
    "sog_gamma": None,
    "num_synthetic": 0,
    "validation": 0,
    "loss_scale": 1.0,
    "variance_penalty": 0.0,
}


@dataclass(frozen=True)
class Settings:
    """Everything that changes the result of a run, except the seed.

    Attributes:
        method: a name in `eqco.methods.METHODS`.
        loss: a name in `eqco.losses.registry.LOSSES`.
        num_negatives: negatives per query, K.
        alpha: EqCo's effective number of negatives; None with other losses.
        drawing: a name in `eqco.losses.sampling.DRAWINGS`: "independent" per query or "shared".
        temperature: softmax temperature t, from 1e-4 on. Losses use log-sum-exp and are finite
            there; below 0.023 e^{2/t} leaves the range of float32: far negatives weigh nothing.
        data: a name in `eqco.data.SOURCES`: "glyphs", "cifar10", "folder:HASH" or "images:HASH"
            (without labels), held in memory; "imagenet", "part:HASH" or "files:HASH" (without
            labels), read from files.
        data_part: fraction of the classes that is used, in (0, 1].
        views: a name in `eqco.data.augmentations`: "glyphs" or "photos"; "moco-v2" of files.
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
        probe_epochs: passes of the linear probe on random crops.
        probe_learning_rate: its peak rate, times 0.1 after 2/3 and 8/9 of its epochs.
        knn_neighbours: how many training images vote in the kNN metric.
        queue_size: keys in MoCo's queue; 0 for methods without one.
        bn_splits: parts of a batch that MoCo's batch norm treats apart; 1 otherwise.
        projector: a name in `eqco.methods.encoder.PROJECTORS`: "bn" (SiMo's head) or "mlp" (MoCo
            v2's).
        second_temperature: of the loss "dual_temperature"; None with other losses.
        image_size: side of the views of images read from files; None for data held in memory,
            whose views are as large as its images.
        probe: a name in `eqco.evaluation.PROBES`: "features" (fitted on features of whole images)
            or "crops" (MoCo's protocol: a linear layer on random crops).
        draws: disjoint draws of K negatives for each query, M; the loss is the mean of their M
            losses, which keeps the bias of K negatives and lowers their noise. K M at most as many
            as there are.
        probe_penalty: of the squared weights in the linear probe of features, see
            `eqco.evaluation.logistic_regression`.
        hardness: of the loss "hard_infonce"; None with other losses.
        sog_gamma: weight of a new estimate in the averages of the loss "sogclr"; None with other
            losses.
        num_synthetic: synthetic negatives that SynCo adds to the K of each query; 0 for other
            methods.
        validation: training images that are left out of training and probe and take the place of
            the held-out images, to choose settings by; fixed by a hash of their pixels. 0 judges
            on the held-out images. Only for data held in memory.
        loss_scale: factor of the gradient of the loss.
        variance_penalty: lambda of `eqco.losses.functional.variance_penalty`, added to the loss.
    """

    method: str = "simo"
    loss: str = "infonce"
    num_negatives: Annotated[int, COUNT] = 255
    alpha: Annotated[float | None, Number(1e-6, 1e12, optional=True)] = None
    drawing: str = "independent"
    temperature: Annotated[float, TEMPERATURE] = 0.2
    data: str = "glyphs"
    data_part: Annotated[float, SHARE] = 1.0
    views: str = "glyphs"
    crop_scale: Annotated[float, SHARE] = 0.8
    backbone: str = "small-gray"
    embedding_dim: Annotated[int, Number(1, 2**20, whole=True)] = 128
    key_momentum: Annotated[float, MOMENTUM] = 0.99
    batch_size: Annotated[int, Number(2, 2**31, whole=True)] = 256
    epochs: Annotated[int, Number(0, 10**6, whole=True)] = 10
    learning_rate: Annotated[float, RATE] = 0.4
    warmup_epochs: Annotated[float, Number(0, 1e6)] = 1.0
    sgd_momentum: Annotated[float, MOMENTUM] = 0.9
    weight_decay: Annotated[float, Number(0, 1e6)] = 1e-4
    precision: str = "float32"
    probe_epochs: Annotated[int, Number(1, 10**6, whole=True)] = 30
    probe_learning_rate: Annotated[float, RATE] = 3.0
    knn_neighbours: Annotated[int, COUNT] = 1
    queue_size: Annotated[int, Number(0, 2**31, whole=True)] = 0
    bn_splits: Annotated[int, COUNT] = 1
    projector: str = "bn"
    second_temperature: Annotated[float | None, replace(TEMPERATURE, optional=True)] = None
    image_size: Annotated[int | None, Number(1, 2**14, whole=True, optional=True)] = None
    probe: str = "features"
    draws: Annotated[int, COUNT] = 1
    probe_penalty: Annotated[float, RATE] = 3e-4
    hardness: Annotated[float | None, replace(HARDNESS, optional=True)] = None
    sog_gamma: Annotated[float | None, replace(SOG_GAMMA, optional=True)] = None
    num_synthetic: Annotated[int, Number(0, 2**20, whole=True)] = 0
    validation: Annotated[int, Number(0, 2**31, whole=True)] = 0
    loss_scale: Annotated[float, RATE] = 1.0
    variance_penalty: Annotated[float, Number(0, 1e6)] = 0.0

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


@cache
def numbers_of(kind: type) -> dict[str, Number]:
    """The numbers among the fields of a class, and their ranges."""
    hints = get_type_hints(kind, include_extras=True).items()
    return {name: hint.__metadata__[0] for name, hint in hints if get_origin(hint) is Annotated}


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
    threads: Annotated[int, Number(1, 1024, whole=True)] = 2
    data_dir: Path = Path("data")
    checkpoints: Path = Path("runs/checkpoints")
    checkpoint_seconds: Annotated[float, Number(0, 1e9)] = 20.0
    workers: Annotated[int, Number(0, 1024, whole=True)] = 0
    compile: bool = False

    def __post_init__(self) -> None:
        for name, number in numbers_of(Machine).items():
            object.__setattr__(self, name, number.check(name, getattr(self, name)))
        for name in ("data_dir", "checkpoints"):
            object.__setattr__(self, name, check_folder(name, getattr(self, name)))
        kind, colon, index = str(self.device).partition(":")
        check_name("device", kind if index.isdecimal() or not colon else self.device, DEVICES)
        if not isinstance(self.device, str) or not isinstance(self.compile, bool):
            raise ValueError(
                f"device must be a text and compile true or false, got {shown(self.device)} and "
                f"{shown(self.compile)}"
            )
