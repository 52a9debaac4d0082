"""Scales: the sizes at which tables run, with all settings that depend on the scale.

K varies at fixed batch size, learning rate and epochs; the learning rate was chosen for InfoNCE
with all negatives.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

from eqco.data import SOURCES
from eqco.methods import METHODS
from eqco.recipe import BASES, Recipe

BELOW = {"simo": (4, 16, 64), "moco": (16, 64, 256), "simclr": (16, 64), "synco": (16, 64, 256)}


def with_queue(synthetic: int, **settings: Any) -> dict[str, dict[str, Any]]:
    """The same settings for both methods that have a queue; SynCo's synthetic negatives beside it.

    The authors add 960 of them to a queue of 65,536 keys.
    """
    return {"moco": settings, "synco": {**settings, "num_synthetic": synthetic}}


@dataclass(frozen=True)
class Scale:
    """A size at which tables run.

    Attributes:
        base: recipe of SiMo with InfoNCE and all negatives.
        run: what one run costs, in words.
        settings: recipe fields that a method has here, by method.
        below: K below full K, ascending, by method.
        alphas: of table 4, ascending; the batch size of `base` is one of them.
        evidence: whether a claim is judged here.
        paper: whether this is the paper's own setting, where published numbers are compared.
    """

    base: Recipe
    run: str
    settings: dict[str, dict[str, Any]]
    below: dict[str, tuple[int, ...]] = field(default_factory=lambda: BELOW)
    alphas: tuple[int, ...] = (16, 64, 256, 1024, 4096, 65536)
    evidence: bool = True
    paper: bool = False

    @property
    def needs_folder(self) -> bool:
        """Whether the user brings the images, with --data."""
        return SOURCES[self.base.data].identify is not None

    def baseline(self, method: str, base: Recipe | None = None) -> Recipe:
        """InfoNCE with all negatives there are, the method in its usual form.

        Args:
            method: a name in `eqco.methods.METHODS`.
            base: another SiMo baseline than the scale's own, for a user's images.
        """
        settings = {**METHODS[method].usual, **self.settings.get(method, {})}
        full = replace(base or self.base, method=method, num_negatives=1, **settings)
        return replace(full, num_negatives=full.available())


QUEUE_OF_1024 = with_queue(15, queue_size=1024)
SCALES = {
    "smoke": Scale(
        base=BASES["smoke"],
        run="about 2 s on 2 cores",
        settings=with_queue(15, queue_size=128),
        below={"simo": (4, 16), "moco": (16,), "simclr": (16,), "synco": (16,)},
        alphas=(16, 64, 65536),
        evidence=False,
    ),
    "glyphs": Scale(
        base=BASES["glyphs"], run="about 40 s with two threads on 2 cores", settings=QUEUE_OF_1024
    ),
    "cifar10-quick": Scale(
        base=BASES["cifar10-quick"],
        run="about 3 minutes on 2 cores for 50,000 images",
        settings=QUEUE_OF_1024,
    ),
    "cifar10-cpu": Scale(
        base=BASES["cifar10-cpu"],
        run="about 28 minutes on one core for 50,000 images",
        settings=QUEUE_OF_1024,
    ),
    "cifar10": Scale(
        base=BASES["cifar10"], run="hours on one GPU", settings=with_queue(60, queue_size=4096)
    ),
    "imagenet": Scale(
        base=BASES["imagenet"],
        run="days on 8 GPUs: python -m reproductions plan --scale imagenet",
        # 5 epochs of warm-up as in the authors' copy of MoCo v2; the official code has none
        settings=with_queue(960, queue_size=65536, warmup_epochs=5.0),
        below={**BELOW, **dict.fromkeys(("moco", "synco"), (16, 64, 256, 1024))},
        paper=True,
    ),
}
