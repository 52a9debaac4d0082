"""Image trees: listed in order, checked before work starts, named by what is in them."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from eqco.config import Machine
from eqco.data import image_folder as trees
from eqco.data import open_images
from eqco.data.image_folder import ImageTree, identity, imagenet_name, scan
from eqco.data.streaming import FromFiles
from reproductions.scales import SCALES
from tests.trees import CLASSES, write_tree


def open_tree(data: str, root: Path) -> ImageTree:
    """The tree of a recipe, as a run opens it."""
    recipe = replace(SCALES["imagenet"].base, data=data)
    images = open_images(recipe, 0, Machine(data_dir=root))
    assert isinstance(images, FromFiles)
    return images.tree


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A tree of four classes."""
    return write_tree(tmp_path / "photos")


def test_a_tree_is_listed_by_class_and_name(root: Path) -> None:
    tree = scan(root)
    assert tree.classes == CLASSES
    assert tree.counts == (4, 20, 8)
    assert tree.train.labels.tolist() == [label for label in range(4) for _ in range(5)]
    assert [path.name for path in tree.train.paths()[:5]] == [f"{i}.JPEG" for i in range(5)]
    assert all(path.is_file() for path in tree.train.paths() + tree.held_out.paths())


def test_names_that_are_not_ascii_survive(tmp_path: Path) -> None:
    root = write_tree(tmp_path / "photos")
    (root / "train" / "n01" / "0.JPEG").rename(root / "train" / "n01" / "zürich.JPEG")
    assert any(path.name == "zürich.JPEG" and path.exists() for path in scan(root).train.paths())


def test_a_part_of_imagenet_raises_an_error_with_what_was_found_and_what_to_do(root: Path) -> None:
    message = r"4 classes, 20 training and 8 held-out .* 1,281,167 and 50,000: .*--data part:"
    with pytest.raises(ValueError, match=message):
        imagenet_name(root)
    with pytest.raises(ValueError, match="complete it, or go on"):
        open_tree("imagenet", root)


def test_the_counts_of_imagenet_are_its_name(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trees, "IMAGENET", (4, 20, 8))
    assert open_tree("imagenet", root) is scan(root)


def test_another_tree_than_the_recipes_raises_an_error(root: Path) -> None:
    name = f"part:{identity(root)}"
    assert open_tree(name, root).counts == (4, 20, 8)
    scan.cache_clear()
    (root / "train" / "n01" / "0.JPEG").unlink()
    with pytest.raises(ValueError, match=r"the recipe wants part:\w+, but"):
        open_tree(name, root)


def test_the_fingerprint_changes_with_a_name(root: Path) -> None:
    before = scan(root).fingerprint
    scan.cache_clear()
    (root / "val" / "n02" / "0.JPEG").rename(root / "val" / "n02" / "9.JPEG")
    assert scan(root).fingerprint != before


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda root: shutil.rmtree(root / "val"), r"needs subfolders train/ and val/ or test/"),
        (lambda root: shutil.rmtree(root / "train"), r"needs subfolders train/"),
        (lambda root: (root / "val" / "x").mkdir(), r"has class 'x', which .*train has not"),
        (
            lambda root: [p.unlink() for p in (root / "train" / "n02").iterdir()],
            r"class folder .*n02 holds no image",
        ),
        (
            lambda root: (
                shutil.rmtree(root / "val"),
                (root / "val").mkdir(),
                (root / "val" / "ILSVRC2012_val_00000001.JPEG").touch(),
            ),
            r"val holds files but no class folders: sort its images",
        ),
    ],
    ids=["no-val", "no-train", "strange-class", "empty-class", "flat-val"],
)
def test_a_wrong_tree_is_one_sentence(root: Path, spoil: object, message: str) -> None:
    spoil(root)  # type: ignore[operator]
    with pytest.raises(ValueError, match=message):
        scan(root)
