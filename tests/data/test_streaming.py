"""Images read from files: the same crops whatever the number of workers or processes."""

from __future__ import annotations

from dataclasses import replace
from itertools import islice

import pytest
import torch
from torch import Tensor
from torchvision.transforms import v2

from eqco.config import Machine
from eqco.data import augmentations
from eqco.data.dataloader import loader
from eqco.data.decode import decode
from eqco.data.image_folder import ImageTree, scan
from eqco.data.streaming import (
    CenterCropDataset,
    FromFiles,
    RandomCropDataset,
    random_box,
    step_batches,
)
from eqco.recipe import Recipe
from eqco.runtime.rng import Shuffle, seed_for
from tests.trees import files_recipe, write_tree


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> ImageTree:
    """Twenty training images to read: one is gray, one CMYK, one a PNG by content."""
    return scan(write_tree(tmp_path_factory.mktemp("data") / "photos"))


@pytest.fixture(scope="module")
def recipe(tree: ImageTree) -> Recipe:
    """Of ImageNet, with small images and batches."""
    return replace(files_recipe(tree.root), batch_size=6, num_negatives=5, epochs=3)


def make_crops(tree: ImageTree, seed: int = 0) -> RandomCropDataset:
    """Two crops of each image."""
    names = ("query", "key")
    return RandomCropDataset(tree.train, size=32, crop_scale=0.2, seed=seed, names=names)


def test_a_crop_depends_on_seed_epoch_index_and_view_alone(tree: ImageTree) -> None:
    crops = make_crops(tree)
    (query, key), label = crops[1, 7]
    assert label == tree.train.labels[7]
    torch.manual_seed(99)
    before = torch.get_rng_state()
    again = crops[1, 7][0]
    assert torch.equal(torch.get_rng_state(), before)  # the global generator is left alone
    assert torch.equal(again, torch.stack([query, key]))
    others = [key, crops[2, 7][0][0], crops[1, 8][0][0], make_crops(tree, seed=1)[1, 7][0][0]]
    assert not any(torch.equal(query, other) for other in others)


@pytest.mark.parametrize("flip", [False, True], ids=["as-it-is", "mirrored"])
def test_a_crop_is_torchvisions_without_torchs_own_generator(
    tree: ImageTree, flip: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    crop = v2.RandomResizedCrop(32, (0.2, 1.0), antialias=True)
    transform = v2.Compose([crop, v2.RandomHorizontalFlip()]) if flip else crop
    crops = RandomCropDataset(
        tree.train, size=32, crop_scale=0.2, seed=3, names=("query", "key"), flip=flip
    )
    wanted = []
    for name in crops.names:
        torch.manual_seed(seed_for(3, name, 2, 5))
        wanted.append(transform(decode(tree.train.path(5))))

    def seeded(_: int) -> None:
        raise AssertionError("torch.manual_seed asks for a traceback to seed CUDA later")

    monkeypatch.setattr(torch, "manual_seed", seeded)
    assert torch.equal(crops[2, 5][0], torch.stack(wanted))


@pytest.mark.parametrize(
    "shape", [(375, 500), (9, 400), (400, 9), (2, 2)], ids="{0[0]}x{0[1]}".format
)
def test_a_random_box_is_torchvisions(shape: tuple[int, int]) -> None:
    for seed in range(50):
        found = random_box(*shape, 0.2, torch.Generator().manual_seed(seed))
        torch.manual_seed(seed)
        image = torch.empty(3, *shape)
        assert found == v2.RandomResizedCrop.get_params(image, [0.2, 1.0], [3 / 4, 4 / 3])


@pytest.mark.filterwarnings("ignore:This DataLoader will create")
@pytest.mark.parametrize("workers", [1, 3], ids="workers{}".format)
def test_views_are_the_same_whatever_the_number_of_workers(
    tree: ImageTree, recipe: Recipe, workers: int
) -> None:
    alone, several = (FromFiles(tree, recipe, 0, Machine(workers=count)) for count in (0, workers))
    for step in range(5):  # over the edge of an epoch
        for one, other in zip(alone.views(step), several.views(step), strict=True):
            assert torch.equal(one, other)


def test_views_that_are_made_at_once_are_those_made_one_after_the_other(
    tree: ImageTree, recipe: Recipe, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on a device."""
    one_by_one = FromFiles(tree, recipe, 0, Machine()).views(0)
    monkeypatch.setattr(augmentations, "on_cpu", lambda _: False)
    for view, other in zip(FromFiles(tree, recipe, 0, Machine()).views(0), one_by_one, strict=True):
        torch.testing.assert_close(view, other, atol=1e-5, rtol=0)


def test_steps_go_on_from_where_a_run_was(tree: ImageTree) -> None:
    shuffle = Shuffle(20, 6, seed=0)
    every = list(step_batches(shuffle, 0, 6))
    assert len(every) == 6
    assert list(step_batches(shuffle, 4, 6)) == every[4:]
    crops, labels = next(islice(loader(make_crops(tree), Machine(), batch_sampler=every), 1))
    assert crops.shape == (6, 2, 3, 32, 32)
    assert labels.tolist() == [int(tree.train.labels[i]) for _, i in every[0]]


def test_centres_are_the_middle_of_the_image(tree: ImageTree) -> None:
    centre, label = CenterCropDataset(tree.held_out, 32)[0]
    assert centre.shape == (3, 32, 32)
    assert label == 0
    image = decode(tree.held_out.path(3)).float().mean(dim=(1, 2))
    mean = CenterCropDataset(tree.held_out, 32)[3][0].float().mean(dim=(1, 2))
    torch.testing.assert_close(mean, image, atol=8.0, rtol=0)


def test_views_of_a_sample_are_no_training_views(tree: ImageTree, recipe: Recipe) -> None:
    images = FromFiles(tree, recipe, 0, Machine())
    query, key = images.sample(4)
    assert query.shape == key.shape == (4, 3, 32, 32)
    assert not torch.equal(query, key)
    seen: list[Tensor] = list(images.views(0)[0])
    assert not any(torch.equal(one, other) for one in query for other in seen)
    assert len(images.sample(10_000)[0]) == len(tree.train)


def test_whole_images_of_both_parts_come_with_their_labels(tree: ImageTree, recipe: Recipe) -> None:
    images = FromFiles(tree, recipe, 0, Machine())
    for part, split in (("train", tree.train), ("held_out", tree.held_out)):
        shown = list(images.whole(part))
        assert torch.equal(torch.cat([labels for _, labels in shown]), split.labels)
        assert torch.cat([batch for batch, _ in shown]).shape == (len(split), 3, 32, 32)
    centre = CenterCropDataset(tree.held_out, 32)[3][0]
    torch.testing.assert_close(shown[0][0][3], images.ready(centre[None])[0])
