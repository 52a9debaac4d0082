"""MoCo's linear protocol on image files: a linear layer on a frozen backbone, random crops.

N images in a batch of all processes, n on this one, F features, C classes. Everything is judged on
the held-out part of the tree, whole images resized and cut at the centre.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import asdict
from itertools import islice
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from eqco.checkpoint import TrainingError, checkpoint_path, load, save
from eqco.feed import statistics_of
from eqco.loading import Centres, Crops, Shuffle, Steps, loader, own_share
from eqco.parallel import agreed, gather_uneven, mean_over_ranks, rank, sum_over_ranks
from eqco.pretrain import Progress
from eqco.probe import nearest_class_mean, state_hash, weighted_knn
from eqco.recipe import Machine, Recipe
from eqco.tree import ImageTree, Split
from eqco.views import generator_for, normalise

# The backbone is frozen, so images of several steps go through it at once: a GPU that has 32 of a
# batch's 256 images would be idle for most of the time.
STEPS_AT_ONCE = 16
PROBE_CROP_SCALE = 0.08
MILESTONES = (2 / 3, 8 / 9)  # of the epochs: 60 and 80 of 90


def probe_path(recipe: Recipe, seed: int, machine: Machine) -> Path:
    """Where the probe's own checkpoint lies."""
    return checkpoint_path(recipe, seed, machine).with_suffix(".probe.pt")


class Frozen:
    """A backbone in evaluation mode that gives features and is never changed."""

    def __init__(self, backbone: nn.Module, recipe: Recipe, tree: ImageTree, device: str) -> None:
        self.backbone = backbone.eval()
        self.low = recipe.precision == "bfloat16"
        self.device = device
        self.mean, self.std = statistics_of(tree, device)

    @torch.no_grad()
    def features(self, images: Tensor) -> Tensor:
        """Float32 features (n, F) of uint8 images (n, 3, S, S) on any device."""
        images = images.to(self.device, non_blocking=True).float() / 255
        images = normalise(images, self.mean, self.std)
        images = images.contiguous(memory_format=torch.channels_last)
        with torch.autocast(self.device.split(":")[0], torch.bfloat16, enabled=self.low):
            features: Tensor = self.backbone(images)
        return features.float()


class Probe:
    """A linear classifier and its training on the crops of a tree; resumable.

    Weights N(0, 0.01), SGD with momentum 0.9 and no weight decay, rate times 0.1 at 2/3 and 8/9 of
    the epochs; the recipe's batch size. A last batch that is not full is dropped.
    """

    def __init__(
        self, frozen: Frozen, tree: ImageTree, recipe: Recipe, seed: int, machine: Machine
    ) -> None:
        self.frozen, self.recipe, self.seed, self.machine = frozen, recipe, seed, machine
        self.shuffle = Shuffle(len(tree.train), recipe.batch_size, seed, "probe-order")
        self.steps = self.shuffle.per_epoch * recipe.probe_epochs
        self.crops = Crops(
            tree.train,
            size=recipe.image_size or 224,
            crop_scale=PROBE_CROP_SCALE,
            seed=seed,
            names=("probe",),
            flip=True,
        )
        width = int(frozen.backbone.num_features)  # type: ignore[arg-type]
        self.classifier = nn.Linear(width, tree.num_classes)
        with torch.no_grad():
            drawn = torch.randn(tree.num_classes, width, generator=generator_for(seed, "probe"))
            self.classifier.weight.copy_(drawn * 0.01)
            self.classifier.bias.zero_()
        self.classifier.to(machine.device)
        self.optimizer = torch.optim.SGD(
            self.classifier.parameters(), recipe.probe_learning_rate, momentum=0.9
        )
        self.step = 0
        self.backbone = state_hash(frozen.backbone)

    def rate(self) -> float:
        """The learning rate of this step."""
        epoch, whole = self.step // self.shuffle.per_epoch, self.recipe.probe_epochs
        drops = sum(epoch >= round(whole * share) for share in MILESTONES)
        return float(self.recipe.probe_learning_rate * 0.1**drops)

    def advance(self, features: Tensor, labels: Tensor) -> Tensor:
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

    def state(self) -> dict[str, Any]:
        """Everything that a resumed probe needs."""
        return {
            "digest": self.recipe.digest(),
            "recipe": asdict(self.recipe),
            "seed": self.seed,
            "backbone": self.backbone,
            "step": self.step,
            "classifier": self.classifier.state_dict(),
            "optimizer": self.optimizer.state_dict(),
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Continue where `state` was taken."""
        self.classifier.load_state_dict(state["classifier"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.step = state["step"]

    def train(self, progress: Progress | None) -> None:
        """Train to the end, from the checkpoint where there is one of this very backbone.

        Raises:
            TrainingError: the loss is not finite.
        """
        path, saved = probe_path(self.recipe, self.seed, self.machine), time.monotonic()
        if path.exists():
            state = load(path, self.recipe.digest(), self.seed)
            if agreed(state["backbone"] == self.backbone, self.machine.device):
                self.restore(state)
        batches = iter(
            loader(
                self.crops,
                self.machine,
                batch_sampler=Steps(self.shuffle, self.step, self.steps),
            )
        )
        while some := list(islice(batches, STEPS_AT_ONCE)):
            features = self.frozen.features(torch.cat([crops[:, 0] for crops, _ in some]))
            labels = torch.cat([labels for _, labels in some]).to(features.device)
            size = len(labels) // len(some)
            for own, right in zip(
                torch.split(features, size), torch.split(labels, size), strict=True
            ):
                loss = self.advance(own, right)
            value = mean_over_ranks(loss).item()
            if not value < float("inf"):
                raise TrainingError(
                    f"the probe of {self.recipe.run_id(self.seed)} diverged at step {self.step} "
                    f"of {self.steps} (the loss is {value}): lower probe_learning_rate "
                    f"{self.recipe.probe_learning_rate:g}"
                )
            due = time.monotonic() - saved > self.machine.checkpoint_seconds
            if self.step == self.steps or agreed(due, self.machine.device):
                if rank() == 0:
                    save(path, self.state())
                saved = time.monotonic()
            if progress:
                progress("probing", self.step, self.steps, value)


def centre_batches(
    split: Split, recipe: Recipe, machine: Machine
) -> Iterator[tuple[Tensor, Tensor]]:
    """Whole images of this process's share of a split, and their labels."""
    centres = Centres(split, recipe.image_size or 224)
    share = own_share(len(split))
    yield from loader(centres, machine, sampler=share, batch_size=256)


@torch.no_grad()
def features_of_split(
    frozen: Frozen, split: Split, recipe: Recipe, machine: Machine
) -> tuple[Tensor, Tensor]:
    """Features (M, F) of whole images and labels (M,), every process's share together.

    Of length 1 and in float16 on a GPU, where 1.3 million of them take 5 GB.
    """
    narrow = torch.float16 if frozen.device.startswith("cuda") else torch.float32
    features, labels = [], []
    for images, right in centre_batches(split, recipe, machine):
        features.append(F.normalize(frozen.features(images), dim=1).to(narrow))
        labels.append(right.to(frozen.device))
    width = int(frozen.backbone.num_features)  # type: ignore[arg-type]
    own = torch.cat(features) if features else torch.empty(0, width, dtype=narrow)
    right = torch.cat(labels) if labels else torch.empty(0, dtype=torch.long)
    return gather_uneven(own.to(frozen.device)), gather_uneven(right.to(frozen.device))


@torch.no_grad()
def accuracy(probe: Probe, split: Split) -> dict[str, float]:
    """Top-1 and top-5 of the classifier on whole images, percent; all processes share the work."""
    hits = torch.zeros(2, dtype=torch.float64, device=probe.frozen.device)
    for images, labels in centre_batches(split, probe.recipe, probe.machine):
        logits = probe.classifier(probe.frozen.features(images))
        best = logits.topk(min(5, logits.shape[1]), dim=1).indices
        right = best == labels.to(best.device)[:, None]
        hits += torch.stack([right[:, 0].sum(), right.sum()])
    top1, top5 = (100 * sum_over_ranks(hits) / len(split)).tolist()
    return {"linear": top1, "linear_top5": top5}


def judge_on_crops(
    backbone: nn.Module,
    tree: ImageTree,
    recipe: Recipe,
    seed: int,
    machine: Machine,
    progress: Progress | None = None,
) -> dict[str, float]:
    """Linear probe on crops, kNN and nearest class mean on whole images; percent, held-out part.

    Every process must call it. Killed, it goes on from its own checkpoint.

    Raises:
        RuntimeError: the backbone changed, so the numbers would not be its own.
        TrainingError: the probe diverged.
        ValueError: an image cannot be read.
    """
    before = state_hash(backbone)
    frozen = Frozen(backbone, recipe, tree, machine.device)
    probe = Probe(frozen, tree, recipe, seed, machine)
    probe.train(progress)
    metrics = accuracy(probe, tree.held_out)
    train = features_of_split(frozen, tree.train, recipe, machine)
    test = features_of_split(frozen, tree.held_out, recipe, machine)
    if rank() == 0:
        metrics["knn"] = weighted_knn(
            train, test, tree.num_classes, neighbours=recipe.knn_neighbours
        )
        metrics["class_mean"] = nearest_class_mean(train, test, tree.num_classes)
    if state_hash(backbone) != before:
        raise RuntimeError("the probe changed the backbone: its numbers are void")
    return metrics
