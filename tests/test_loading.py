"""Images from files: any format, the same crops whatever the number of workers or processes."""

from __future__ import annotations

from dataclasses import replace
from itertools import islice
from pathlib import Path

import pytest
import torch
from torch import Tensor

from eqco import loading
from eqco.feed import FromFiles, some_views
from eqco.loading import Centres, Crops, Shuffle, Steps, decode, loader
from eqco.recipe import SCALES, Machine, Recipe
from eqco.tree import ImageTree, identity, scan
from tests.trees import write_tree


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> ImageTree:
    """Twenty training images."""
    return scan(write_tree(tmp_path_factory.mktemp("loading") / "photos"))


@pytest.fixture(scope="module")
def recipe(tree: ImageTree) -> Recipe:
    """Of ImageNet, with small images and batches."""
    return replace(
        SCALES["imagenet"].base,
        data=f"part:{identity(tree.root)}",
        image_size=32,
        batch_size=6,
        num_negatives=5,
        epochs=3,
    )


def crops_of(tree: ImageTree, seed: int = 0) -> Crops:
    """Two crops of each image."""
    names = ("query", "key")
    return Crops(tree.train, size=32, crop_scale=0.2, seed=seed, names=names)


def test_gray_cmyk_and_misnamed_files_are_read_in_colour(tree: ImageTree) -> None:
    for path in tree.train.paths():
        image = decode(path)
        assert image.dtype == torch.uint8
        assert image.shape[0] == 3
    gray = decode(tree.root / "train" / "n01" / "0.JPEG")
    assert torch.equal(gray[0], gray[1])


def test_a_file_that_is_no_image_is_named(tmp_path: Path) -> None:
    path = tmp_path / "broken.JPEG"
    path.write_bytes(b"half a file")
    with pytest.raises(ValueError, match=r"cannot read image .*broken.JPEG"):
        decode(path)


def test_a_crop_depends_on_seed_epoch_index_and_view_alone(tree: ImageTree) -> None:
    crops = crops_of(tree)
    (query, key), label = crops[1, 7]
    assert label == tree.train.labels[7]
    torch.manual_seed(99)
    before = torch.get_rng_state()
    again = crops[1, 7][0]
    assert torch.equal(torch.get_rng_state(), before)  # the global generator is left alone
    assert torch.equal(again, torch.stack([query, key]))
    others = [key, crops[2, 7][0][0], crops[1, 8][0][0], crops_of(tree, seed=1)[1, 7][0][0]]
    assert not any(torch.equal(query, other) for other in others)


@pytest.mark.parametrize("workers", [1, 3], ids="workers{}".format)
def test_views_are_the_same_whatever_the_number_of_workers(
    tree: ImageTree, recipe: Recipe, workers: int
) -> None:
    alone, several = (FromFiles(tree, recipe, 0, Machine(workers=count)) for count in (0, workers))
    for step in range(5):  # over the edge of an epoch
        for one, other in zip(alone.views(step), several.views(step), strict=True):
            assert torch.equal(one, other)


def test_a_feed_that_starts_later_gives_what_the_whole_one_gives(
    tree: ImageTree, recipe: Recipe
) -> None:
    whole, resumed = (FromFiles(tree, recipe, 0, Machine()) for _ in range(2))
    for step in range(4):
        expected = whole.views(step)
    assert torch.equal(resumed.views(3)[0], expected[0])


def test_each_epoch_shows_every_image_once_and_two_processes_share_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    whole = [Shuffle(20, 4, seed=0).rows(step)[1] for step in range(10)]
    for epoch in (whole[:5], whole[5:]):
        assert sorted(torch.cat(epoch).tolist()) == list(range(20))
    assert not torch.equal(torch.cat(whole[:5]), torch.cat(whole[5:]))
    monkeypatch.setattr(loading, "world_size", lambda: 2)
    halves = []
    for rank in range(2):
        monkeypatch.setattr(loading, "first_of", lambda count, rank=rank: rank * count)
        halves.append(Shuffle(20, 4, seed=0).rows(3)[1])
    assert torch.equal(torch.cat(halves), whole[3])


def test_steps_go_on_from_where_a_run_was(tree: ImageTree) -> None:
    shuffle = Shuffle(20, 6, seed=0)
    every = list(Steps(shuffle, 0, 6))
    assert len(every) == len(Steps(shuffle, 0, 6)) == 6
    assert list(Steps(shuffle, 4, 6)) == every[4:]
    crops, labels = next(islice(loader(crops_of(tree), Machine(), batch_sampler=every), 1))
    assert crops.shape == (6, 2, 3, 32, 32)
    assert labels.tolist() == [int(tree.train.labels[i]) for _, i in every[0]]


def test_centres_are_the_middle_of_the_image(tree: ImageTree) -> None:
    centre, label = Centres(tree.held_out, 32)[0]
    assert centre.shape == (3, 32, 32)
    assert label == 0
    image = decode(tree.held_out.path(3)).float().mean(dim=(1, 2))
    mean = Centres(tree.held_out, 32)[3][0].float().mean(dim=(1, 2))
    torch.testing.assert_close(mean, image, atol=8.0, rtol=0)


def test_views_of_a_description_are_no_training_views(tree: ImageTree, recipe: Recipe) -> None:
    query, key = some_views(tree, recipe, 0, 4)
    assert query.shape == key.shape == (4, 3, 32, 32)
    assert not torch.equal(query, key)
    seen: list[Tensor] = list(FromFiles(tree, recipe, 0, Machine()).views(0)[0])
    assert not any(torch.equal(one, other) for one in query for other in seen)
