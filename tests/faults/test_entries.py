"""Kind 4: what is not data is not taken as data, and nothing is left out without a word."""

from __future__ import annotations

import hashlib
import os
import shutil
import warnings
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eqco.data.image_folder import ImageTree, identity, scan, scan_unlabelled, unlabelled_identity
from eqco.recipe import Recipe
from eqco.runtime.listing import SkippedEntries, files_below, json_files
from reproductions.reports.user_tables import records_in
from tests.synthetic import make_record
from tests.trees import write_names


def tree_in(folder: Path, inner: str = "") -> Path:
    """Two classes of five images to train on and two held out; `inner` folders below a class."""
    for split, count in (("train", 5), ("val", 2)):
        for name in "ab":
            write_names(folder, *(f"{split}/{name}/{inner}{place}.JPEG" for place in range(count)))
    return folder


def listed(root: Path) -> tuple[ImageTree, list[str]]:
    """The tree as it is now, and what is said of it."""
    scan.cache_clear()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        return scan(root), [str(warning.message) for warning in caught]


HIDDEN = (
    "train/.ipynb_checkpoints/0.JPEG", "train/a/._0.JPEG", "train/a/.ipynb_checkpoints/0.JPEG",
    "val/.git/a.png", "val/a/.DS_Store", "val/.Trash-0/files/b.jpg", "train/b/.0.JPEG.swp",
)  # fmt: skip
OTHER = ("train/a/notes.txt", "val/labels.csv", "train/a/boxes/0.xml", "val/b/x.ini")
SYSTEM = (
    "train/a/@eaDir/0.JPEG/THUMB_M.jpg", "train/@eaDir/0.JPEG", "val/b/Thumbs.db",
    "train/__MACOSX/a/0.JPEG", "val/#recycle/0.JPEG", "train/$RECYCLE.BIN/S-1/0.JPEG",
    "train/lost+found/0.JPEG", "val/a/desktop.ini",
)  # fmt: skip


@pytest.mark.parametrize(
    "names", [(HIDDEN[0],), (OTHER[0],), *((name,) for name in SYSTEM), HIDDEN + OTHER + SYSTEM]
)
def test_what_is_no_image_changes_nothing_and_is_counted(
    names: tuple[str, ...], tmp_path: Path
) -> None:
    root = tree_in(tmp_path)
    before, silent = listed(root)
    known, loose = identity(root), unlabelled_identity(root)
    write_names(root, *names)
    after, messages = listed(root)
    scan_unlabelled.cache_clear()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert unlabelled_identity(root) == loose
    assert after.classes == before.classes == ("a", "b")
    assert (after.fingerprint, identity(root)) == (before.fingerprint, known)
    assert not silent
    assert len(messages) == 1
    hidden = [name for name in names if name in HIDDEN]
    assert (f"{len(hidden)} hidden" in messages[0]) == bool(hidden)
    entries = {name.partition("@eaDir/")[0] for name in names if name in SYSTEM}
    assert (f"{len(entries)} of a server, an archive or trash" in messages[0]) == bool(entries)
    other = len([name for name in names if name in OTHER])
    assert (f"{other} that are no image files" in messages[0]) == bool(other)
    assert scan(root) is after  # the second use says nothing


def test_a_pipe_named_as_an_image_is_not_opened(tmp_path: Path) -> None:
    root = tree_in(tmp_path)
    os.mkfifo(root / "train" / "a" / "pipe.JPEG")
    assert listed(root)[0].counts == (2, 10, 4)


@pytest.mark.parametrize(
    "places",
    [["train/c"], ["train/c", "val/c"], ["train/a/9.JPEG"], ["val/b/x.png", "train/a/more"]],
    ids="+".join,
)
@pytest.mark.parametrize("aim", ["nowhere", "itself", "around"])
def test_a_link_to_nothing_is_named_and_counted(
    places: list[str], aim: str, tmp_path: Path
) -> None:
    root = tree_in(tmp_path)
    for place in places:
        goal = {"nowhere": "/nowhere", "itself": Path(place).name, "around": "."}[aim]
        (root / place).symlink_to(goal)
    scan.cache_clear()
    with pytest.raises(ValueError, match=rf"{len(places)} link\(s\) below .* are broken") as got:
        scan(root)
    assert str(root / min(places)) in str(got.value)
    if all(place.startswith("train") for place in places):
        with pytest.raises(ValueError, match="are broken"):
            scan_unlabelled(root)


def test_links_to_folders_and_files_are_followed(tmp_path: Path) -> None:
    root = tree_in(tmp_path / "plain")
    linked = tmp_path / "linked"
    shutil.copytree(root / "val", linked / "val")
    (linked / "train").mkdir()
    (linked / "train" / "a").symlink_to(root / "train" / "a")
    (linked / "train" / "b").mkdir()
    for path in (root / "train" / "b").iterdir():
        (linked / "train" / "b" / path.name).symlink_to(path)
    assert identity(linked) == identity(root)
    assert scan_unlabelled(linked).counts == scan_unlabelled(root).counts


def test_a_folder_that_cannot_be_listed_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root, ours = tree_in(tmp_path), os.scandir

    def refused(folder: str) -> object:
        if str(folder).endswith("train/b"):
            raise PermissionError(13, "Permission denied")
        return ours(folder)

    monkeypatch.setattr(os, "scandir", refused)
    scan.cache_clear()
    with pytest.raises(ValueError, match=r"train/b cannot be listed \(Permission denied\)"):
        scan(root)


def test_a_name_that_is_not_utf8_is_data(tmp_path: Path) -> None:
    root = tree_in(tmp_path)
    odd = os.fsencode(root / "train" / "a") + b"/caf\xe9.JPEG"
    Path(os.fsdecode(odd)).write_bytes(b"xy")
    tree, _ = listed(root)
    assert odd in [os.fsencode(path) for path in tree.train.paths()]
    assert identity(root) != identity(tree_in(tmp_path / "other"))
    scan_unlabelled.cache_clear()
    assert len(unlabelled_identity(root)) == 8


def test_identity_and_order_of_an_ordinary_tree_are_as_ever(tmp_path: Path) -> None:
    """Recomputed from names and sizes alone, as recipes of earlier records have them."""
    root = tree_in(tmp_path)
    tree, _ = listed(root)
    names = [p for s in ("train", "val") for p in sorted((root / s).rglob("*.JPEG"))]
    assert tree.train.paths() + tree.held_out.paths() == names
    lines = "\n".join(f"{path.relative_to(root)} 1" for path in names)
    assert identity(root) == hashlib.sha256(lines.encode()).hexdigest()[:8]


NAMES = st.text(
    st.characters(exclude_characters="/\0", exclude_categories=["Cs"]), min_size=1, max_size=12
).filter(lambda name: name not in (".", "..") and len(name.encode(errors="surrogateescape")) < 100)


@settings(max_examples=60, deadline=None)
@given(names=st.sets(NAMES | NAMES.map("{}.png".format) | NAMES.map(".{}.jpg".format), max_size=8))
def test_every_name_is_taken_or_counted(
    names: set[str], tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("names")
    for name in names:
        with suppress(OSError, UnicodeEncodeError):  # not a name on this disk
            (folder / name).write_bytes(b"x")
    written = len(os.listdir(folder))
    skipped = SkippedEntries(folder)
    taken = list(files_below(str(folder), lambda name: name.endswith(".png"), skipped))
    assert len(taken) + sum(map(len, skipped.left_out.values())) == written
    assert not [path for path in taken if Path(path).name.startswith(".")]
    skipped.sentence().encode()  # can be written anywhere


def test_records_have_the_same_gate(tmp_path: Path) -> None:
    place = tmp_path / "glyphs"
    record = make_record(Recipe(), 0, 80.0)
    first = record.write(place)
    write_names(place, f"._{first.name}", ".ipynb_checkpoints/x.json")
    assert json_files(place) == [first]
    assert records_in(tmp_path, "glyphs").all() == [record]
    first.unlink()
    with pytest.raises(ValueError, match="holds no record"):
        records_in(tmp_path, "glyphs")
    assert json_files(tmp_path / "nowhere") == []
