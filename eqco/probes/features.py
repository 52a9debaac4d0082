"""Every metric on features of whole images held in memory."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from eqco.distributed import rank
from eqco.images import Images
from eqco.probes.frozen import Frozen, check_unchanged, state_hash
from eqco.probes.metrics import METRICS
from eqco.settings import Machine, Settings


class FeatureProbe:
    """Features once, then metrics of them, in seconds; the first process does it for all."""

    from_files = False

    def __init__(
        self, backbone: nn.Module, images: Images, recipe: Settings, seed: int, machine: Machine
    ) -> None:
        self.backbone, self.images, self.recipe, self.seed = backbone, images, recipe, seed

    def features(self, part: str) -> tuple[Tensor, Tensor]:
        """Features (M, F) and labels (M,) of "train" or "held_out"."""
        frozen = Frozen(self.backbone)
        found = [(frozen.features(images), labels) for images, labels in self.images.whole(part)]
        features, labels = zip(*found, strict=True)
        return torch.cat(features), torch.cat(labels)

    def metrics(self) -> dict[str, float]:
        """Every metric on the held-out part, percent; nothing on other processes.

        Raises:
            RuntimeError: the backbone changed, so the numbers would not be its own.
        """
        if rank() > 0:
            return {}
        before, classes = state_hash(self.backbone), self.images.num_classes
        train, test = self.features("train"), self.features("held_out")
        found = {
            name: metric.function(train, test, classes, self.recipe, self.seed)
            for name, metric in METRICS.items()
        }
        check_unchanged(self.backbone, before)
        return found
