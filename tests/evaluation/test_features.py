"""Probes of features and of crops leave the backbone alone; metrics against slow definitions."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from eqco.artifacts.run_files import Run
from eqco.config import Machine
from eqco.data.image_folder import ImageTree, scan
from eqco.data.in_memory import Dataset, InMemory
from eqco.data.streaming import FromFiles
from eqco.engine.trainer import Trainer
from eqco.evaluation.features import FeatureProbe, Frozen, state_hash
from eqco.evaluation.linear_on_crops import CropProbe
from eqco.evaluation.logistic_regression import linear_probe
from eqco.evaluation.metrics import (
    METRICS,
    nearest_class_mean,
    packed,
    percent,
    unpacked,
    weighted_knn,
)
from eqco.methods.encoder import build_encoder
from eqco.recipe import Recipe
from eqco.runtime.validation import TrainingError
from tests.trees import probe_recipe, write_tree

RECIPE = Recipe(batch_size=4, num_negatives=3)


class Restless(nn.Module):
    """A backbone that changes whenever it is asked."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("calls", torch.zeros(()))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        self.calls += 1
        return images.flatten(1)


def tiny_set() -> Dataset:
    """Twenty random images of two classes."""
    images = torch.randint(0, 256, (20, 1, 4, 4), dtype=torch.uint8)
    labels = torch.arange(20) % 2
    return Dataset(images, labels, images, labels, 2, "0" * 16)


def probe(backbone: nn.Module, data: Dataset | None = None, seed: int = 0) -> FeatureProbe:
    """A probe of twenty random images, or of other data."""
    images = InMemory(data or tiny_set(), RECIPE, seed, Machine())
    return FeatureProbe(backbone, images, RECIPE, seed, Machine())


def test_metrics_of_a_backbone_that_changes_raise_an_error() -> None:
    with pytest.raises(RuntimeError, match="the probe changed the backbone"):
        probe(Restless()).metrics()


def test_a_backbone_with_batch_norm_is_left_as_it_was() -> None:
    backbone = nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.Flatten())
    before, training = state_hash(backbone), backbone.training
    metrics = probe(backbone).metrics()
    assert state_hash(backbone) == before
    assert backbone.training == training
    assert set(metrics) == set(METRICS) == {"linear", "knn", "class_mean", "perturbed_knn"}
    assert all(0 <= value <= 100 for value in metrics.values())


def test_metrics_are_the_same_for_every_seed_of_the_run() -> None:
    backbone, data = nn.Flatten(), tiny_set()
    assert probe(backbone, data, 0).metrics() == probe(backbone, data, 7).metrics()


def test_features_of_perturbed_views_come_view_after_view_with_their_labels() -> None:
    found = probe(nn.Flatten())
    features, labels = found.features("held_out", 4)
    assert features.shape == (4 * 20, 16)
    assert torch.equal(labels, found.images.data.test_labels.repeat(4))
    again = torch.cat([images for images, _ in found.images.perturbed("held_out", 4)])
    assert torch.equal(features, again.flatten(1))
    assert len(found.features("held_out")[0]) == 20


def test_perturbed_metrics_alone_are_of_perturbed_views() -> None:
    """One view of each training image, four of each held-out one."""
    found = probe(nn.Flatten())
    whole = (found.features("train"), found.features("held_out"))
    mild = (found.features("train", 1), found.features("held_out", 4))
    metrics = found.metrics()
    for name, metric in METRICS.items():
        features = mild if metric.perturbed else whole
        correct = metric.correct(*features, 2, RECIPE)
        assert metrics[name] == percent(correct)
        if metric.kept:
            assert torch.equal(unpacked(found.correct[name], len(correct)), correct)
    assert set(found.correct) == {"linear", "knn"}


def test_features_are_those_of_the_backbone_in_evaluation_mode() -> None:
    backbone = nn.Sequential(nn.BatchNorm2d(1), nn.Flatten())
    images = torch.rand(6, 1, 4, 4, generator=torch.Generator().manual_seed(0))
    features = Frozen(backbone).features(images)
    torch.testing.assert_close(features, backbone.eval()(images).float())
    low = Frozen(nn.Sequential(nn.Flatten(), nn.Linear(16, 3)), "bfloat16").features(images)
    assert low.dtype == torch.float32


# Metrics by neighbours and class means against slow definitions; the recipe sets them.


def clusters(spread: float = 1.0) -> tuple[tuple[torch.Tensor, torch.Tensor], ...]:
    """Training and held-out features of five overlapping clusters in eight dimensions."""
    generator = torch.Generator().manual_seed(0)
    centres = torch.randn(5, 8, generator=generator) * 1.5
    parts = []
    for count in (400, 200):
        labels = torch.arange(count) % 5
        noise = torch.randn(count, 8, generator=generator) * spread
        parts.append((centres[labels] + noise, labels))
    return tuple(parts)


@pytest.mark.parametrize("neighbours", [1, 7, 10_000])
def test_knn_agrees_with_a_slow_loop(neighbours: int) -> None:
    train, test = clusters()
    labels = []
    for feature in test[0][:50]:
        cosine = F.cosine_similarity(train[0], feature[None])
        rows = cosine.argsort(descending=True)[:neighbours]
        votes = torch.zeros(5)
        for row in rows:
            votes[train[1][row]] += torch.exp(cosine[row] / 0.1)
        labels.append(votes.argmax())
    found = weighted_knn(train, test[0][:50], 5, neighbours=neighbours)
    assert (found != torch.stack(labels)).sum() <= 1


def test_nearest_class_mean_agrees_with_a_slow_loop() -> None:
    train, test = clusters()
    unit = F.normalize(train[0], dim=1)
    means = torch.stack([unit[train[1] == label].mean(dim=0) for label in range(5)])
    labels = [F.cosine_similarity(means, feature[None]).argmax() for feature in test[0]]
    assert torch.equal(nearest_class_mean(train, test[0], 5), torch.stack(labels))


def test_metrics_are_those_functions_with_the_settings_of_the_recipe() -> None:
    train, test = clusters()
    recipe = Recipe(knn_neighbours=7, probe_penalty=0.5)
    found = {name: metric.correct(train, test, 5, recipe) for name, metric in METRICS.items()}
    knn = weighted_knn(train, test[0], 5, neighbours=7)
    expected = {
        "linear": linear_probe(train, test[0], 5, penalty=0.5),
        "knn": knn,
        "class_mean": nearest_class_mean(train, test[0], 5),
        "perturbed_knn": knn,
    }
    assert all(torch.equal(found[name], expected[name] == test[1]) for name in METRICS)
    other = replace(recipe, knn_neighbours=1, probe_penalty=3e-4)
    again = {name: metric.correct(train, test, 5, other) for name, metric in METRICS.items()}
    changed = {name for name in found if not torch.equal(found[name], again[name])}
    assert changed == set(found) - {"class_mean"}


@pytest.mark.parametrize("count", [1, 7, 8, 9, 4669])
def test_packed_bits_come_back(count: int) -> None:
    correct = torch.rand(count, generator=torch.Generator().manual_seed(count)) < 0.5
    assert torch.equal(unpacked(packed(correct), count), correct)
    with pytest.raises(ValueError, match=f"expected the bits of {count + 8} images"):
        unpacked(packed(correct), count + 8)


# MoCo's probe on image files: it learns and leaves the backbone alone.


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


def test_a_backbone_that_changes_in_the_probe_of_crops_raises_an_error(
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


def test_divergence_of_the_probe_names_the_step(
    tree: ImageTree, recipe: Recipe, machine: Machine
) -> None:
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
