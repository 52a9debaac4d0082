"""MoCo's probe on image files: it learns and leaves the backbone alone."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import nn

from eqco.artifacts.run_files import Run
from eqco.config import Machine
from eqco.data.image_folder import ImageTree, scan
from eqco.data.streaming import FromFiles
from eqco.engine.trainer import Trainer
from eqco.evaluation.linear_on_crops import CropProbe
from eqco.methods.encoder import build_encoder
from eqco.recipe import Recipe
from eqco.runtime.validation import TrainingError
from tests.trees import probe_recipe, write_tree


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> ImageTree:
    """Forty training images of four colours."""
    return scan(write_tree(tmp_path_factory.mktemp("probe") / "photos", each=10, held_out=5))


@pytest.fixture
def recipe(tree: ImageTree) -> Recipe:
    """Of ImageNet, with small images, batches and rates."""
    return replace(probe_recipe(tree.root), knn_neighbours=5)


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


def make_probe(backbone: nn.Module, tree: ImageTree, recipe: Recipe, machine: Machine) -> CropProbe:
    return CropProbe(backbone, FromFiles(tree, recipe, 0, machine), recipe, 0, machine)


def train(probe: CropProbe, machine: Machine) -> None:
    """Train a probe to its end, from its checkpoint where there is one."""
    Trainer(
        probe, Run(probe.recipe, 0, machine), machine.checkpoints / "probe.pt", "probing"
    ).train()


def resnet(seed: int) -> nn.Module:
    return build_encoder("resnet18", 16, seed=seed).backbone


def test_colours_are_learnt_and_the_backbone_is_left_alone(
    tree: ImageTree, recipe: Recipe, machine: Machine
) -> None:
    backbone = Colours()
    before = {name: value.clone() for name, value in backbone.state_dict().items()}
    probe = make_probe(backbone, tree, recipe, machine)
    train(probe, machine)
    metrics = probe.metrics()
    assert set(metrics) == {"linear", "linear_top5", "knn", "class_mean"}
    assert metrics["linear"] > 60  # chance is 25
    assert metrics["knn"] > 60
    assert metrics["linear_top5"] == 100.0  # of four classes
    assert backbone.training
    assert all(torch.equal(backbone.state_dict()[name], before[name]) for name in before)


def test_metrics_of_a_backbone_that_changes_raise_an_error(
    tree: ImageTree, recipe: Recipe, machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    def forward(self: Colours, images: torch.Tensor) -> torch.Tensor:
        self.norm.running_mean += 1
        return images.mean(dim=(2, 3))

    monkeypatch.setattr(Colours, "forward", forward)
    probe = make_probe(Colours(), tree, replace(recipe, probe_epochs=1), machine)
    train(probe, machine)
    with pytest.raises(RuntimeError, match="the probe changed the backbone"):
        probe.metrics()


def test_a_probe_of_another_backbone_begins_anew(
    tree: ImageTree, recipe: Recipe, machine: Machine
) -> None:
    """As after training a run again: the old classifier must not judge the new encoder."""
    recipe = replace(recipe, probe_epochs=3)
    first = make_probe(resnet(0), tree, recipe, machine)
    train(first, machine)
    alone = replace(machine, checkpoints=machine.checkpoints / "alone")
    again = [make_probe(resnet(1), tree, recipe, each) for each in (machine, alone)]
    for probe, each in zip(again, (machine, alone), strict=True):
        train(probe, each)
    assert torch.equal(again[0].classifier.weight, again[1].classifier.weight)
    assert not torch.equal(again[0].classifier.weight, first.classifier.weight)


def test_divergence_names_the_step(tree: ImageTree, recipe: Recipe, machine: Machine) -> None:
    class Loud(Colours):
        def forward(self, images: torch.Tensor) -> torch.Tensor:
            return images.mean(dim=(2, 3)) * 1e30

    probe = make_probe(Loud(), tree, replace(recipe, probe_learning_rate=1e6), machine)
    with pytest.raises(TrainingError, match=r"probe of .* diverged at step \d+.*rate below"):
        train(probe, machine)


def test_the_rate_falls_at_two_thirds_and_eight_ninths(
    tree: ImageTree, recipe: Recipe, machine: Machine
) -> None:
    long = replace(recipe, probe_epochs=90, probe_learning_rate=30.0)
    probe = make_probe(Colours(), tree, long, machine)
    rates = []
    for epoch in (0, 59, 60, 79, 80, 89):
        probe.step = epoch * probe.shuffle.per_epoch
        rates.append(probe.rate())
    assert rates == pytest.approx([30, 30, 3, 3, 0.3, 0.3])
