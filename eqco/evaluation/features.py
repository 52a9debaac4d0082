"""Features of a frozen backbone, and every metric on them. N images, F features."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

import torch
from torch import Tensor, nn

from eqco.config import Machine, Settings
from eqco.data.in_memory import InMemory
from eqco.evaluation.metrics import PERTURBED, WHOLE, judge
from eqco.runtime.distributed import rank


def state_hash(module: nn.Module) -> str:
    """SHA-256 of all parameters and buffers, to check that they did not change."""
    digest = hashlib.sha256()
    for name, value in module.state_dict().items():
        digest.update(name.encode())
        digest.update(value.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()


def check_unchanged(backbone: nn.Module, before: str) -> None:
    """Raise RuntimeError where the backbone has another `state_hash` than before."""
    if state_hash(backbone) != before:
        raise RuntimeError("the probe changed the backbone: its metrics are discarded")


class Frozen:
    """A backbone in evaluation mode, in "float32" or, by autocast, in "bfloat16"."""

    def __init__(self, backbone: nn.Module, precision: str = "float32") -> None:
        self.backbone = backbone
        self.low = precision == "bfloat16"

    @torch.no_grad()
    def features(self, images: Tensor) -> Tensor:
        """Float32 features (N, F) of normalised images (N, C, S, S)."""
        was_training = self.backbone.training
        self.backbone.eval()
        with torch.autocast(images.device.type, torch.bfloat16, enabled=self.low):
            features: Tensor = self.backbone(images)
        self.backbone.train(was_training)
        return features.float()

    def of_batches(self, batches: Iterable[tuple[Tensor, Tensor]]) -> tuple[Tensor, Tensor]:
        """Features (M, F) of batches of normalised images and labels, and the labels (M,)."""
        parts = [(self.features(images), labels) for images, labels in batches]
        features, labels = zip(*parts, strict=True)
        return torch.cat(features), torch.cat(labels)


# Perturbed views of each image: the fit sees one, the judgement is on four.
VIEWS = (("train", 1), ("held_out", 4))


class FeatureProbe:
    """Features once, then metrics of them, in seconds; the first process does it for all."""

    from_files = False

    def __init__(
        self, backbone: nn.Module, images: InMemory, recipe: Settings, seed: int, machine: Machine
    ) -> None:
        self.backbone, self.images, self.recipe, self.seed = backbone, images, recipe, seed
        self.correct: dict[str, str] = {}

    def features(self, part: str, views: int = 0) -> tuple[Tensor, Tensor]:
        """Features (M, F) and labels (M,) of a part: of whole images, or of perturbed views."""
        batches = self.images.perturbed(part, views) if views else self.images.whole(part)
        return Frozen(self.backbone).of_batches(batches)

    def metrics(self) -> dict[str, float]:
        """Every metric on the held-out part, percent; nothing on other processes.

        `correct` then has which images are right, for the metrics that keep it.

        Raises:
            RuntimeError: the backbone changed, so the numbers would not be its own.
        """
        if rank() > 0:
            return {}
        before, classes = state_hash(self.backbone), self.images.num_classes
        metrics: dict[str, float] = {}
        for names, times in ((WHOLE, 0), (PERTURBED, 1)):
            train, test = (self.features(part, views * times) for part, views in VIEWS)
            percents, kept = judge(names, train, test, classes, self.recipe)
            metrics |= percents
            self.correct |= kept
        check_unchanged(self.backbone, before)
        return metrics
