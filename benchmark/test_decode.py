"""Images from JPEG files of 500 x 375 pixels, one core; images a second."""

from __future__ import annotations

from collections.abc import Callable
from itertools import count
from pathlib import Path

import pytest
from PIL.Image import Image
from torchvision.datasets import ImageFolder
from torchvision.transforms import v2

from benchmark import peers
from benchmark.inputs import write_jpegs
from benchmark.measure import Compare, Timed
from eqco.config import Machine, Settings
from eqco.data.decode import picture
from eqco.data.image_folder import scan
from eqco.data.streaming import FromFiles, RandomCropDataset

pytestmark = pytest.mark.benchmark(group="decode")


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory, pytestconfig: pytest.Config) -> Path:
    """64 files that look like photographs to a decoder."""
    return write_jpegs(
        tmp_path_factory.mktemp("jpegs"), 4 if pytestconfig.getoption("--tiny") else 64
    )


def bare(tree: Path, number: int) -> Timed:
    """Pillow alone."""
    paths = scan(tree).train.paths()[:number]
    return Timed(lambda: [picture(path) for path in paths], images=number)


def from_folder(tree: Path, number: int, transform: Callable[[Image], object], views: int) -> Timed:
    """torchvision's ImageFolder with transforms of PIL images, `views` of each image."""
    data = ImageFolder(str(tree / "train"), lambda image: [transform(image) for _ in range(views)])
    return Timed(lambda: [data[place] for place in range(number)], images=number, rounds=7)


def test_two_crops(compare: Compare, tree: Path) -> None:
    number, side = compare.size(16, 2), compare.size(224, 24)
    split, epochs = scan(tree).train, count()
    crops = RandomCropDataset(split, size=side, crop_scale=0.2, seed=0, names=("query", "key"))

    def run() -> None:
        epoch = next(epochs)
        for place in range(number):
            crops[epoch, place]

    crop = v2.Compose([v2.RandomResizedCrop(side, (0.2, 1.0)), v2.PILToTensor()])
    compare(
        "JPEG, two crops of 224",
        ours=Timed(run, images=number),
        plain=from_folder(tree, number, crop, views=2),
        limit=bare(tree, number),
        unit="images/s",
        rounds=9,
    )


def test_two_views(compare: Compare, tree: Path) -> None:
    number, side = compare.size(16, 2), compare.size(224, 32)
    recipe = Settings(
        data="imagenet", views="moco-v2", image_size=side, crop_scale=0.2, batch_size=number,
        epochs=1000,
    )  # fmt: skip
    images = FromFiles(scan(tree), recipe, 0, Machine(threads=1, data_dir=tree))
    steps, lightly = count(), peers.lightly_view(side, blur=0.5)
    standard = peers.torchvision_view(side, blur=True, tensor=False)
    compare(
        "JPEG, two views of 224",
        ours=Timed(lambda: images.views(next(steps)), images=number),
        plain=from_folder(tree, number, standard, views=2),
        limit=bare(tree, number),
        lightly=lightly and from_folder(tree, number, lightly, views=1),
        unit="images/s",
        rounds=7,
    )
