"""MoCo's linear protocol on image files: a linear layer on a frozen backbone, random crops.

N images in a batch of all processes, n on this one, F features, C classes. Everything is judged on
the held-out part of the tree, whole images resized and cut at the centre.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from eqco.config import Machine, Settings
from eqco.data.streaming import FromFiles
from eqco.evaluation.features import Frozen, check_unchanged, state_hash
from eqco.evaluation.metrics import MILESTONES, WHOLE, judge, packed, percent
from eqco.runtime.distributed import gather_uneven, mean_over_ranks, rank, world_size
from eqco.runtime.resumable import ResumableTask, restore_optimizer
from eqco.runtime.rng import Shuffle, generator_for
from eqco.runtime.validation import TrainingError

# The backbone is frozen, so images of several steps go through it at once: a GPU that has 32 of a
# batch's 256 images would be idle for most of the time.
STEPS_AT_ONCE = 16


def in_order(local: Tensor) -> Tensor:
    """Rows of all processes in the order of the images; process r of R has images r, r + R, ..."""
    rows = gather_uneven(local)
    places = [torch.arange(r, len(rows), world_size(), device="cpu") for r in range(world_size())]
    return rows[torch.cat(places).argsort().to(rows.device)]


class CropProbe(ResumableTask):
    """A linear classifier and its training on the crops of a tree; resumable.

    Weights N(0, 0.01), SGD with momentum 0.9 and no weight decay, rate times 0.1 at 2/3 and 8/9 of
    the epochs; the recipe's batch size. A last batch that is not full is dropped.
    """

    from_files = True

    def __init__(
        self, backbone: nn.Module, images: FromFiles, recipe: Settings, seed: int, machine: Machine
    ) -> None:
        self.frozen, self.images = Frozen(backbone, recipe.precision), images
        self.recipe, self.seed = recipe, seed
        self.device, self.name = machine.device, recipe.run_id(seed)
        self.shuffle = Shuffle(images.shuffle.total, recipe.batch_size, seed, "probe-order")
        self.steps = self.shuffle.per_epoch * recipe.probe_epochs
        width = int(backbone.num_features)  # type: ignore[arg-type]
        self.classifier = nn.Linear(width, images.num_classes)
        with torch.no_grad():
            drawn = torch.randn(
                images.num_classes, width, generator=generator_for(seed, "probe"), device="cpu"
            )
            self.classifier.weight.copy_(drawn * 0.01)
            self.classifier.bias.zero_()
        self.classifier.to(machine.device)
        self.optimizer = torch.optim.SGD(
            self.classifier.parameters(), recipe.probe_learning_rate, momentum=0.9
        )
        self.step = 0
        self.hash = state_hash(backbone)
        self.correct: dict[str, str] = {}
        self.batches: Iterator[tuple[Tensor, Tensor]] | None = None

    def rate(self) -> float:
        """The learning rate of this step."""
        epoch, whole = self.step // self.shuffle.per_epoch, self.recipe.probe_epochs
        drops = sum(epoch >= round(whole * share) for share in MILESTONES)
        return float(self.recipe.probe_learning_rate * 0.1**drops)

    def fit(self, features: Tensor, labels: Tensor) -> Tensor:
        """One step on this process's features (n, F); returns its loss."""
        for group in self.optimizer.param_groups:
            group["lr"] = self.rate()
        loss = F.cross_entropy(self.classifier(features), labels)
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        for parameter in self.classifier.parameters():
            parameter.grad = mean_over_ranks(parameter.grad)  # type: ignore[arg-type]
        self.optimizer.step()
        self.step += 1
        return loss.detach()

    def next_images(self) -> tuple[Tensor, Tensor, int]:
        """Crops and labels of several steps, uint8, on the device; images of a step.

        Each batch goes there by itself: it is in pinned memory, where what is joined is not.
        """
        if self.batches is None:
            self.batches = self.images.probe_crops(self.shuffle, self.step, self.steps)
        parts = zip(*islice(self.batches, STEPS_AT_ONCE), strict=True)
        batches = [[tensor.to(self.device, non_blocking=True) for tensor in part] for part in parts]
        crops, labels = map(torch.cat, batches)
        return crops, labels, len(batches[1][0])

    def advance(self) -> float:
        """Several steps, whose images go through the backbone at once.

        Raises:
            TrainingError: the loss is not finite.
            ValueError: an image cannot be read.
        """
        crops, labels, size = self.next_images()
        features = self.frozen.features(self.images.ready(crops))
        batches = zip(torch.split(features, size), torch.split(labels, size), strict=True)
        for batch, batch_labels in batches:
            loss = self.fit(batch, batch_labels)
        value = mean_over_ranks(loss).item()
        if not value < float("inf"):
            raise TrainingError(
                f"the probe of {self.name} diverged at step {self.step} of {self.steps} (the loss "
                f"is {value}), and would again: use a recipe with probe_learning_rate below "
                f"{self.recipe.probe_learning_rate:g}"
            )
        return value

    def state(self) -> dict[str, Any]:
        return {
            "backbone": self.hash,
            "classifier": self.classifier.state_dict(),
            "optimizer": self.optimizer.state_dict(),
        }

    def fits(self, state: dict[str, Any]) -> bool:
        return bool(state["backbone"] == self.hash)

    def restore(self, state: dict[str, Any]) -> None:
        self.classifier.load_state_dict(state["classifier"])
        restore_optimizer(self.optimizer, state["optimizer"], self.step)

    @torch.no_grad()
    def features(self, part: str) -> tuple[Tensor, Tensor]:
        """Features (M, F) of whole images and labels (M,), every process's share together.

        Of length 1 and in float16 on a GPU, where 1.3 million of them take 5 GB.
        """
        narrow = torch.float16 if self.device.startswith("cuda") else torch.float32
        features = [torch.empty(0, self.classifier.in_features, dtype=narrow, device=self.device)]
        labels = [torch.empty(0, dtype=torch.long, device=self.device)]
        for images, image_labels in self.images.whole(part):
            features.append(F.normalize(self.frozen.features(images), dim=1).to(narrow))
            labels.append(image_labels)
        return in_order(torch.cat(features)), in_order(torch.cat(labels))

    @torch.no_grad()
    def accuracy(self) -> dict[str, float]:
        """Top-1 and top-5 of the classifier on whole held-out images, percent."""
        correct = [torch.empty(0, 2, dtype=torch.uint8, device=self.device)]  # top-1, top-5
        for images, labels in self.images.whole("held_out"):
            logits = self.classifier(self.frozen.features(images))
            best = logits.topk(min(5, logits.shape[1]), dim=1).indices == labels[:, None]
            correct.append(torch.stack([best[:, 0], best.any(dim=1)], dim=1).to(torch.uint8))
        top1, top5 = in_order(torch.cat(correct)).bool().unbind(dim=1)
        self.correct["linear"] = packed(top1)
        return {"linear": percent(top1), "linear_top5": percent(top5)}

    def metrics(self) -> dict[str, float]:
        """Top-1 and top-5 of the classifier, and the other metrics on whole images, percent.

        Raises:
            RuntimeError: the backbone changed, so the numbers would not be its own.
        """
        metrics, classes = self.accuracy(), self.images.num_classes
        train, test = self.features("train"), self.features("held_out")
        if rank() == 0:
            others = [name for name in WHOLE if name not in metrics]
            percents, kept = judge(others, train, test, classes, self.recipe)
            metrics |= percents
            self.correct |= kept
        check_unchanged(self.frozen.backbone, self.hash)
        return metrics
