"""Data sets held in memory, and one clear sentence for a folder that cannot be used."""

from __future__ import annotations

import os
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from eqco.config import Machine
from eqco.data import SOURCES, augmentations, find_source, glyphs, in_memory, open_images
from eqco.data.augmentations import MILD, VIEWS
from eqco.data.in_memory import Dataset, InMemory, glyph_set, validation_split
from eqco.recipe import Recipe
from reproductions.scales import SCALES
from tests.data.test_augmentations import EITHER_VIEW, pictures

CLASSES = ("ant", "bee", "cat")
COUNTS = {"train": 4, "test": 2}
CIFAR10_FOLDER = os.environ.get("EQCO_CIFAR10_FOLDER", "")


def pick_colour(split: str, label: int, place: int) -> tuple[int, int, int]:
    """Of one picture of the tree; each has its own."""
    return (40 * label + 10, 20 * place, 0 if split == "train" else 200)


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """An image tree of three classes: plain PNG pictures of 40 x 32 pixels, and a stray file."""
    folder = tmp_path / "insects"
    for split, count in COUNTS.items():
        for label, name in enumerate(CLASSES):
            home = folder / split / name
            home.mkdir(parents=True)
            for place in range(count):
                colour = pick_colour(split, label, place)
                Image.new("RGB", (40, 32), colour).save(home / f"{place}.png")
    (folder / "train" / "ant" / "notes.txt").write_text("not an image")
    return folder


def folder_name(folder: Path) -> str:
    """The recipe's `data` for a folder."""
    identify = SOURCES["folder"].identify
    return identify(folder)


def opened(folder: Path, data: str = "") -> InMemory:
    """The images of a folder as a run opens them, under its own name or another."""
    base = replace(SCALES["cifar10-quick"].base, batch_size=4, num_negatives=3)
    recipe = replace(base, data=data or folder_name(folder))
    images = open_images(recipe, 0, Machine(data_dir=folder))
    assert isinstance(images, InMemory)
    return images


def test_a_folder_gives_its_images_and_labels_in_order(tree: Path) -> None:
    data = opened(tree).data
    assert data.num_classes == 3
    assert data.train_images.shape == (12, 3, 32, 32)
    assert data.test_images.shape == (6, 3, 32, 32)
    assert data.train_images.dtype == torch.uint8
    assert data.train_labels.tolist() == [0] * 4 + [1] * 4 + [2] * 4
    assert data.test_labels.tolist() == [0, 0, 1, 1, 2, 2]
    for split, images in (("train", data.train_images), ("test", data.test_images)):
        for row, image in enumerate(images):
            colour = torch.tensor(pick_colour(split, *divmod(row, COUNTS[split])))
            assert torch.equal(image.long(), colour[:, None, None].expand(3, 32, 32))


def test_a_large_image_is_scaled_by_its_shorter_edge_and_cut_at_the_centre(tree: Path) -> None:
    """128 x 64: red left quarter, red right quarter, blue middle: only blue remains."""
    picture = np.zeros((64, 128, 3), dtype=np.uint8)
    picture[:, :32, 0], picture[:, 96:, 0], picture[:, 32:96, 2] = 255, 255, 255
    Image.fromarray(picture).save(tree / "train" / "ant" / "0.png")
    image = opened(tree).data.train_images[0]
    assert image.shape == (3, 32, 32)
    assert image[2, :, 4:28].min() > 250
    assert image[0, :, 4:28].max() < 5


def test_a_held_out_folder_may_be_called_val(tree: Path) -> None:
    before = opened(tree).data
    (tree / "test").rename(tree / "val")
    moved = tree.rename(tree.with_name("moved"))
    assert torch.equal(opened(moved).data.test_images, before.test_images)


def test_another_tree_of_the_same_name_has_another_name(tree: Path, tmp_path: Path) -> None:
    copy = tmp_path / "elsewhere" / "insects"
    shutil.copytree(tree, copy)
    (copy / "train" / "ant" / "0.png").rename(copy / "train" / "ant" / "9.png")
    assert folder_name(copy) != folder_name(tree)
    with pytest.raises(ValueError, match=r"the recipe wants folder:.*but .* is folder:"):
        opened(copy, folder_name(tree))


def test_equal_pixels_have_equal_fingerprints_and_others_do_not(tree: Path, tmp_path: Path) -> None:
    same, other = tmp_path / "a" / "insects", tmp_path / "b" / "insects"
    shutil.copytree(tree, same)
    shutil.copytree(tree, other)
    Image.new("RGB", (40, 32), (1, 2, 3)).save(other / "test" / "bee" / "1.png")
    first, second, third = (opened(each).data.fingerprint for each in (tree, same, other))
    assert first == second
    assert first != third


@pytest.mark.parametrize("part", [0.05, 0.1, 0.25, 0.4, 0.7, 1.0], ids="part{}".format)
def test_a_part_of_the_glyphs_is_that_fraction_of_the_classes(part: float) -> None:
    data = glyph_set(part)
    assert data.num_classes == pytest.approx(part * len(glyphs.render()[0]), abs=1.5)
    assert data.train_labels.unique().tolist() == list(range(data.num_classes))
    chosen = torch.arange(data.num_classes) * len(glyphs.unseen()) // data.num_classes
    left = glyphs.unseen()[chosen].sum(dim=1)  # held-out pictures of each class
    assert torch.equal(torch.bincount(data.test_labels, minlength=data.num_classes), left)


def test_glyphs_drawn_by_other_libraries_leave_a_note(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(glyphs, "FINGERPRINT", glyphs.fingerprint())
    assert glyph_set(0.1).note == ""
    monkeypatch.setattr(glyphs, "FINGERPRINT", "0123456789abcdef")
    note = glyph_set(0.1).note
    assert glyphs.fingerprint() in note
    assert "0123456789abcdef" in note


def test_channel_statistics_are_those_of_the_pixels(tree: Path) -> None:
    data = opened(tree).data
    pixels = data.train_images.double().div(255).transpose(0, 1).flatten(1)
    mean, std = data.channel_statistics()
    torch.testing.assert_close(mean, pixels.mean(dim=1).float())
    torch.testing.assert_close(std, pixels.std(dim=1, correction=0).float())


@pytest.mark.parametrize("name", sorted(SOURCES))
def test_every_source_is_found_by_the_data_of_a_recipe(name: str, tree: Path) -> None:
    source = SOURCES[name]
    assert find_source(name) is source
    if source.hashed:  # users bring them: the recipe names what is in them
        data = source.identify(tree)
        assert data.startswith(f"{name}:")
        assert find_source(data) is source
    else:
        with pytest.raises(ValueError, match="unknown data set"):
            find_source(f"{name}:something")


def test_views_and_samples_are_the_same_each_time(tree: Path) -> None:
    images, again = (opened(tree) for _ in range(2))
    pairs = ((images.views(3), again.views(3)), (images.sample(5), again.sample(5)))
    for pair, same in pairs:
        assert not torch.equal(*pair)
        assert all(torch.equal(one, other) for one, other in zip(pair, same, strict=True))
    assert not torch.equal(images.views(0)[0], images.views(1)[0])
    assert len(images.sample(100)[0]) == 12  # all there are


def test_views_that_are_made_at_once_are_those_made_one_after_the_other(
    tree: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on a device."""
    one_by_one = opened(tree).views(1)
    monkeypatch.setattr("eqco.data.augmentations.on_cpu", lambda _: False)
    for view, other in zip(opened(tree).views(1), one_by_one, strict=True):
        torch.testing.assert_close(view, other, atol=1e-5, rtol=0)


def test_a_channel_of_one_value_gives_finite_views(tree: Path) -> None:
    """The blue of the training pictures is 0: their standard deviation is not divided by."""
    images = opened(tree)
    assert images.data.channel_statistics()[1][2] == 0
    for view in (*images.views(0), *images.sample(5)):
        assert torch.isfinite(view).all()


def test_whole_images_of_both_parts_come_with_their_labels(tree: Path) -> None:
    images = opened(tree)
    data = images.data
    for part, labels in (("train", data.train_labels), ("held_out", data.test_labels)):
        shown = list(images.whole(part))
        assert torch.equal(torch.cat([right for _, right in shown]), labels)
        assert torch.cat([batch for batch, _ in shown]).shape == (len(labels), 3, 32, 32)


@pytest.mark.skipif(
    not CIFAR10_FOLDER, reason="EQCO_CIFAR10_FOLDER names no folder with CIFAR-10 as an image tree"
)
def test_cifar10_as_a_folder_is_read_whole() -> None:
    """50,000 and 10,000 images of 32 pixels in ten classes, and the channel means of CIFAR-10.

    The means (.4914, .4822, .4465) are those commonly used for its training images.
    """
    data = opened(Path(CIFAR10_FOLDER)).data
    assert data.train_images.shape == (50000, 3, 32, 32)
    assert data.test_images.shape == (10000, 3, 32, 32)
    assert torch.bincount(data.train_labels).tolist() == [5000] * 10
    assert torch.bincount(data.test_labels).tolist() == [1000] * 10
    mean, _ = data.channel_statistics()
    torch.testing.assert_close(mean, torch.tensor([0.4914, 0.4822, 0.4465]), atol=0.002, rtol=0)


def test_a_validation_part_is_fixed_by_content_and_leaves_the_training_part() -> None:
    draw = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (40, 1, 4, 4), generator=draw).to(torch.uint8)
    labels = torch.arange(40)
    data = Dataset(images, labels, images[:5], labels[:5], 40, "f")
    split = validation_split(data, 12)
    order = torch.randperm(40, generator=draw)
    shuffled = validation_split(
        Dataset(images[order], labels[order], images[:5], labels[:5], 40, "f"), 12
    )
    assert set(split.test_labels.tolist()) == set(shuffled.test_labels.tolist())
    assert sorted([*split.train_labels.tolist(), *split.test_labels.tolist()]) == list(range(40))
    assert torch.equal(images[split.test_labels], split.test_images)
    assert split.fingerprint == data.fingerprint
    with pytest.raises(ValueError, match="validation is 39, but the data has only 40"):
        validation_split(data, 39)


def test_a_run_with_a_validation_part_is_judged_on_it() -> None:
    base = SCALES["smoke"].base
    recipe = replace(base, validation=30)
    images = open_images(recipe, 0, Machine())
    whole = open_images(base, 0, Machine())
    assert images.shuffle.total == whole.shuffle.total - 30
    assert sum(len(labels) for _, labels in images.whole("held_out")) == 30


# Perturbed views, by which a probe judges: fixed for all runs, mild, each with its label.


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
