"""Perturbed views, by which a probe judges: fixed for all runs, mild, each with its label."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from eqco.config import Machine
from eqco.data import augmentations, in_memory
from eqco.data.augmentations import MILD, VIEWS
from eqco.data.in_memory import Dataset, InMemory
from eqco.recipe import Recipe
from tests.data.test_augmentations import EITHER_VIEW, pictures

RECIPE = Recipe(batch_size=4, num_negatives=3)


def images_of(name: str, seed: int = 0, recipe: Recipe = RECIPE) -> InMemory:
    """The same twelve pictures of three classes to train on and held out."""
    images, labels = (255 * pictures(name, 12)).to(torch.uint8), torch.arange(12) % 3
    data = Dataset(images, labels, images, labels, 3, "0" * 16)
    return InMemory(data, replace(recipe, views=name), seed, Machine())


def perturbed(images: InMemory, part: str = "train", count: int = 2) -> tuple[Tensor, Tensor]:
    """All views and labels of a part, view after view."""
    views, labels = zip(*images.perturbed(part, count), strict=True)
    return torch.cat(views), torch.cat(labels)


@EITHER_VIEW
def test_they_are_the_same_for_every_run_and_each_time(name: str) -> None:
    other = replace(RECIPE, batch_size=6, crop_scale=0.2, num_negatives=1, epochs=1)
    first = images_of(name)
    expected = perturbed(first)[0]
    for again in (first, images_of(name, seed=7), images_of(name, seed=3, recipe=other)):
        assert torch.equal(perturbed(again)[0], expected)


@EITHER_VIEW
def test_parts_and_views_are_drawn_apart(name: str) -> None:
    """Both parts hold the same pictures here."""
    train, held_out = (
        perturbed(images_of(name), part)[0].view(2, 12, -1) for part in ("train", "held_out")
    )
    drawn = torch.stack([*train, *held_out])  # (4, 12, C S S)
    for one in range(4):
        for other in range(one):
            assert not torch.isclose(drawn[one], drawn[other]).all(dim=1).any()


def test_labels_stay_with_their_pictures_over_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    """A picture of one colour keeps it, for what lies beyond its border has its colour too."""
    monkeypatch.setattr(in_memory, "CHUNK", 5)
    labels = torch.arange(12) % 3
    solid = (80 * labels + 10).to(torch.uint8).view(-1, 1, 1, 1).expand(12, 3, 24, 24).contiguous()
    data = Dataset(solid, labels, solid.flip(0), labels.flip(0), 3, "0" * 16)
    images = InMemory(data, replace(RECIPE, views="photos"), 0, Machine())
    for part, right in (("train", labels), ("held_out", labels.flip(0))):
        found, given = perturbed(images, part, 3)
        assert torch.equal(given, right.repeat(3))
        levels = 255 * (found * images.std.view(3, 1, 1) + images.mean.view(3, 1, 1))
        expected = (80.0 * given + 10).view(-1, 1, 1, 1).expand_as(levels)
        torch.testing.assert_close(levels, expected, atol=0.01, rtol=0)


@EITHER_VIEW
def test_a_mild_view_keeps_shape_and_range_and_is_not_the_picture(
    name: str, generator: torch.Generator
) -> None:
    images = pictures(name)
    view = MILD[name](images, generator)
    assert view.shape == images.shape
    assert 0 <= view.min() <= view.max() <= 1
    assert (view - images).abs().flatten(1).mean(dim=1).min() > 1e-3


@EITHER_VIEW
def test_a_mild_view_crops_at_most_a_fifth_of_the_area(
    name: str, monkeypatch: pytest.MonkeyPatch, generator: torch.Generator
) -> None:
    asked: list[float] = []
    inner = augmentations.random_crops

    def crops(count: int, crop_scale: float, *rest: object) -> tuple[Tensor, ...]:
        asked.append(crop_scale)
        return inner(count, crop_scale, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(augmentations, "random_crops", crops)
    MILD[name](pictures(name), generator)
    assert asked == [0.8]


def test_a_mild_view_of_a_photograph_leaves_its_colours(generator: torch.Generator) -> None:
    """Jitter and grayscale would change pictures of one colour; a crop and a flip do not."""
    colours = torch.rand(64, 3, 1, 1, generator=generator).expand(64, 3, 24, 24)
    torch.testing.assert_close(MILD["photos"](colours, generator), colours, atol=1e-6, rtol=0)
    assert not torch.allclose(VIEWS["photos"](colours, 0.8, generator), colours, atol=1e-3)
