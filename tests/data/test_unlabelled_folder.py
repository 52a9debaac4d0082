"""Anybody's images: flat or deep folders, train/ alone, and what is wrong with others."""

from __future__ import annotations

from pathlib import Path

import pytest

from eqco.data.image_folder import scan_unlabelled, unlabelled_identity
from tests.trees import write_names


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
    with pytest.raises(ValueError, match=r"1.jpg is a file"):
        scan_unlabelled(root / "1.jpg")
