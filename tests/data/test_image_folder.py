"""Image trees: listed in order, checked before work starts, named by what is in them."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from eqco.config import Machine
from eqco.data import image_folder as trees
from eqco.data import open_images
from eqco.data.image_folder import (
    ImageTree,
    imagenet_name,
    scan,
    scan_unlabelled,
    unlabelled_identity,
)
from eqco.data.labelled import labelled_tree
from eqco.data.streaming import FromFiles
from reproductions.scales import SCALES
from tests.trees import CLASSES, write_names, write_tree


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


def test_a_part_of_imagenet_raises_an_error_with_what_was_found_and_what_to_do(root: Path) -> None:
    message = r"4 classes, 20 training and 8 held-out .* 1,281,167 and 50,000: .*--data part:"
    with pytest.raises(ValueError, match=message):
        imagenet_name(root)
    with pytest.raises(ValueError, match="complete it, or go on"):
        open_tree("imagenet", root)


def test_the_counts_of_imagenet_are_its_name(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trees, "IMAGENET", (4, 20, 8))
    assert open_tree("imagenet", root) is scan(root)


def emptied(folder: Path, *names: str) -> None:
    """A folder anew, with some files of one byte."""
    shutil.rmtree(folder)
    folder.mkdir()
    write_names(folder, *names)


def one_level_down(folder: Path) -> None:
    """What is in a folder is in its `images/`."""
    moved = folder.rename(folder.with_name("moved"))
    folder.mkdir()
    moved.rename(folder / "images")


WRONG: dict[str, tuple[Callable[[Path], object], str]] = {
    "missing": (shutil.rmtree, "photos does not exist"),
    "empty": (emptied, r"needs subfolders train/ and val/ or test/.*none"),
    "no val": (
        lambda root: shutil.rmtree(root / "val"),
        r"needs subfolders train/ and val/ or test/.*\['train'\]",
    ),
    "no train": (lambda root: shutil.rmtree(root / "train"), "needs subfolders train/"),
    "one class": (
        lambda root: [shutil.rmtree(root / "train" / name) for name in CLASSES[1:]],
        r"train has 1 class folder\(s\), 2 are needed",
    ),
    "strange class": (
        lambda root: write_names(root, "val/x/0.png"), r"has class 'x', which .*train has not",
    ),
    "empty class": (
        lambda root: emptied(root / "train/n02"),
        r"class folder .*train/n02 holds no image at any depth, it is empty",
    ),
    "hidden alone": (
        lambda root: emptied(root / "train/n02", "._0.JPEG"),
        r"class folder .*train/n02 holds no image at any depth, it has 1 other .*/\._0\.JPEG",
    ),
    "other format": (
        lambda root: emptied(root / "train/n02", "deep/0.heic"),
        r"it has 1 other file\(s\) such as .*0\.heic; images end in \.bmp, ",
    ),
    "empty val": (
        lambda root: [emptied(root / "val" / name) for name in CLASSES], "val holds no image",
    ),
    "Tiny ImageNet's val": (
        lambda root: emptied(root / "val", "images/0.JPEG"),
        r"val has 'images' and no folder of a class of .*train: sort its images into folders",
    ),
    "classes one level down": (
        lambda root: one_level_down(root / "train"),
        r"train has 1 class folder\(s\), 2 are needed: images/ has 4 folders, move them up",
    ),
    "ImageNet's flat val": (
        lambda root: emptied(root / "val", "ILSVRC2012_val_00000001.JPEG"),
        r"val holds files but no class folders: sort its images",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_tree_is_one_sentence_with_the_true_reason(root: Path, name: str) -> None:
    spoil, message = WRONG[name]
    spoil(root)
    with pytest.raises(ValueError, match=message):
        scan(root)


# Anybody's images: flat or deep folders, train/ alone.


def numbered(prefix: str) -> list[str]:
    """Eight names."""
    return [f"{prefix}{place}.jpg" for place in range(8)]


def test_every_image_below_a_folder_is_one_of_one_class(tmp_path: Path) -> None:
    others = ["notes.txt", ".hidden/9.jpg", ".hidden.png", "movie.mp4"]
    root = write_names(tmp_path / "all", *numbered("flat "), "deep/er/ä.PNG", *others)
    tree = scan_unlabelled(root)
    assert tree.counts == (1, 9, 0)
    assert tree.train.labels.tolist() == [0] * 9
    assert next(path.name for path in tree.train.paths()) == "ä.PNG"
    assert all(path.is_file() for path in tree.train.paths())


def test_a_folder_with_train_gives_that_alone(tmp_path: Path) -> None:
    root = write_names(tmp_path / "tree", *numbered("train/a/"), *numbered("val/a/"))
    paths = scan_unlabelled(root).train.paths()
    assert len(paths) == 8
    assert all("train" in path.parts for path in paths)


def test_the_identity_follows_names_and_sizes(tmp_path: Path) -> None:
    first, second = (write_names(tmp_path / n / "x", *numbered("")) for n in "ab")
    assert unlabelled_identity(first) == unlabelled_identity(second)
    third = write_names(tmp_path / "c" / "x", *numbered(""))
    (third / "0.jpg").write_bytes(b"longer")
    assert unlabelled_identity(first) != unlabelled_identity(third)


def test_what_is_no_folder_of_images_is_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="none does not exist: give the path of a folder"):
        scan_unlabelled(tmp_path / "none")
    root = write_names(tmp_path / "few", "1.jpg", "2.txt")
    with pytest.raises(ValueError, match=r"few holds 1 image\(s\), training needs 8"):
        scan_unlabelled(root)
    assert len(scan_unlabelled(root, 1).train) == 1
    with pytest.raises(ValueError, match=r"1.jpg is a file"):
        scan_unlabelled(root / "1.jpg")


@pytest.mark.parametrize("parts", [("Train", "Test"), ("training", "validation"), ("test", "val")])
def test_parts_of_a_data_set_are_no_classes(parts: tuple[str, str], tmp_path: Path) -> None:
    root = write_names(tmp_path / "data", *numbered(f"{parts[0]}/a/"), *numbered(f"{parts[1]}/a/"))
    for reader in (scan_unlabelled, labelled_tree)[: 1 if parts[0] == "test" else 2]:
        with pytest.raises(ValueError, match=f"{parts[0]}.* are parts of a data set and no clas"):
            reader(root)
