"""Every metric on features of images held in memory, whole and perturbed."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from eqco.config import Machine, Settings
from eqco.data.in_memory import InMemory
from eqco.evaluation.frozen import Frozen, check_unchanged, state_hash
from eqco.evaluation.metrics import METRICS, packed, percent
from eqco.runtime.distributed import rank

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
        """Features (M, F) and labels (M,) of "train" or "held_out".

        Args:
            part: of the images.
            views: perturbed views of each image, or 0 for whole images.
        """
        frozen = Frozen(self.backbone)
        batches = self.images.perturbed(part, views) if views else self.images.whole(part)
        found = [(frozen.features(images), labels) for images, labels in batches]
        features, labels = zip(*found, strict=True)
        return torch.cat(features), torch.cat(labels)

    def metrics(self) -> dict[str, float]:
        """Every metric on the held-out part, percent; nothing on other processes.

        `correct` then has which images are right, for the metrics that keep it.

        Raises:
            RuntimeError: the backbone changed, so the numbers would not be its own.
        """
        if rank() > 0:
            return {}
        before, classes = state_hash(self.backbone), self.images.num_classes
        found: dict[str, float] = {}
        for perturbed in (False, True):
            train, test = (self.features(part, views * perturbed) for part, views in VIEWS)
            for name, metric in METRICS.items():
                if metric.perturbed == perturbed:
                    correct = metric.correct(train, test, classes, self.recipe)
                    found[name] = percent(correct)
                    if metric.kept:
                        self.correct[name] = packed(correct)
        check_unchanged(self.backbone, before)
        return found
