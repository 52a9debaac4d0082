"""MoCo's probe on image files: it learns, it leaves the backbone alone, it survives a kill."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import nn

from eqco.encoder import build_encoder
from eqco.probe_crops import Frozen, Probe, judge_on_crops, probe_path
from eqco.recipe import SCALES, Machine, Recipe
from eqco.tree import ImageTree, identity, scan
from tests.trees import write_tree


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> ImageTree:
    """Forty training images of four colours."""
    return scan(write_tree(tmp_path_factory.mktemp("probe") / "photos", each=10, held_out=5))


@pytest.fixture
def recipe(tree: ImageTree) -> Recipe:
    """Of ImageNet, with small images, batches and rates."""
    return replace(
        SCALES["imagenet"].base,
        data=f"part:{identity(tree.root)}",
        image_size=32,
        batch_size=8,
        num_negatives=7,
        precision="float32",
        probe_epochs=9,
        probe_learning_rate=1.0,
        knn_neighbours=5,
    )


class Colours(nn.Module):
    """A backbone that sees the mean of each channel, and has something that could change."""

    num_features = 3

    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(3)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """(N, 3, S, S) -> (N, 3)."""
        features: torch.Tensor = self.norm(images).mean(dim=(2, 3))
        return features


def test_colours_are_learnt_and_the_backbone_is_left_alone(
    tree: ImageTree, recipe: Recipe, machine: Machine
) -> None:
    metrics = judge_on_crops(Colours(), tree, recipe, 0, machine)
    assert set(metrics) == {"linear", "linear_top5", "knn", "class_mean"}
    assert metrics["linear"] > 60  # chance is 25
    assert metrics["knn"] > 60
    assert metrics["linear_top5"] == 100.0  # of four classes


def test_a_backbone_that_changes_voids_the_numbers(
    tree: ImageTree, recipe: Recipe, machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    def forward(self: Colours, images: torch.Tensor) -> torch.Tensor:
        self.norm.running_mean += 1
        return images.mean(dim=(2, 3))

    monkeypatch.setattr(Colours, "forward", forward)
    with pytest.raises(RuntimeError, match="the probe changed the backbone"):
        judge_on_crops(Colours(), tree, replace(recipe, probe_epochs=1), 0, machine)


def probe_of(tree: ImageTree, recipe: Recipe, machine: Machine) -> Probe:
    """A fresh probe of an untrained ResNet-18."""
    backbone = build_encoder("resnet18", 16, seed=0).backbone
    return Probe(Frozen(backbone, recipe, tree, "cpu"), tree, recipe, 0, machine)


def test_a_probe_that_was_stopped_ends_with_the_weights_of_a_whole_one(
    tree: ImageTree, recipe: Recipe, machine: Machine, tmp_path: Path
) -> None:
    whole = probe_of(tree, recipe, machine)
    whole.train(None)

    def stop(stage: str, step: int, steps: int, loss: float) -> None:
        raise KeyboardInterrupt

    often = replace(machine, checkpoints=tmp_path / "stopped", checkpoint_seconds=0.0)
    with pytest.raises(KeyboardInterrupt):
        probe_of(tree, recipe, often).train(stop)
    reached = torch.load(probe_path(recipe, 0, often), weights_only=True)["step"]
    assert 0 < reached < whole.steps
    resumed, seen = probe_of(tree, recipe, often), []
    resumed.train(lambda stage, step, *_: seen.append(step))
    assert seen[0] > reached, "it began anew"
    assert torch.equal(resumed.classifier.weight, whole.classifier.weight)


def test_a_probe_of_another_backbone_begins_anew(
    tree: ImageTree, recipe: Recipe, machine: Machine
) -> None:
    """As after training a run again: the old classifier must not judge the new encoder."""
    probe_of(tree, recipe, machine).train(None)
    other = build_encoder("resnet18", 16, seed=1).backbone
    again, alone = (
        Probe(Frozen(other, recipe, tree, "cpu"), tree, recipe, 0, each)
        for each in (machine, replace(machine, checkpoints=machine.checkpoints / "alone"))
    )
    again.train(None)
    alone.train(None)
    assert torch.equal(again.classifier.weight, alone.classifier.weight)


def test_the_rate_falls_at_two_thirds_and_eight_ninths(
    tree: ImageTree, recipe: Recipe, machine: Machine
) -> None:
    probe = probe_of(tree, replace(recipe, probe_epochs=90, probe_learning_rate=30.0), machine)
    rates = []
    for epoch in (0, 59, 60, 79, 80, 89):
        probe.step = epoch * probe.shuffle.per_epoch
        rates.append(probe.rate())
    assert rates == pytest.approx([30, 30, 3, 3, 0.3, 0.3])
