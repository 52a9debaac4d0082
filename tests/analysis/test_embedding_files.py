"""Embeddings of other programs: every layout gives the same cosines, and wrong files are named."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from eqco.analysis.embedding_files import read_embeddings, similarities
from tests.conftest import Command

DRAW = np.random.default_rng(0)
QUERY = DRAW.normal(size=(40, 16)).astype("float32")
KEY = QUERY + 0.3 * DRAW.normal(size=(40, 16)).astype("float32")


def layouts(folder: Path) -> list[Path]:
    """The same pairs in each layout."""
    both, tensors = np.stack([QUERY, KEY]), [torch.from_numpy(each) for each in (QUERY, KEY)]
    np.save(folder / "a.npy", both)
    np.savez(folder / "b.npz", query=QUERY, key=KEY)
    torch.save(torch.stack(tensors), folder / "c.pt")
    torch.save(dict(zip(("query", "key"), tensors, strict=True)), folder / "d.pt")
    return sorted(folder.iterdir())


def test_every_layout_is_read_alike_with_length_one(tmp_path: Path) -> None:
    for path in layouts(tmp_path):
        query, key = read_embeddings(path)
        for found, given in ((query, QUERY), (key, KEY)):
            given = given / np.linalg.norm(given.astype("float64"), axis=1, keepdims=True)
            np.testing.assert_allclose(found.numpy(), given, rtol=1e-6)


def test_without_keys_the_gap_is_at_its_largest(tmp_path: Path) -> None:
    """Positives at cosine -1 give the largest weight of negatives that there can be."""
    query, key = (torch.from_numpy(each).double() for each in (QUERY, KEY))
    query, key = (torch.nn.functional.normalize(each, dim=1) for each in (query, key))
    worst, negatives = similarities(query, None)
    positive, _ = similarities(query, key)
    assert (worst <= positive).all()
    assert negatives.shape == (40, 39)
    assert (negatives < 1).all()  # no query is its own negative


WRONG: dict[str, tuple[Any, str]] = {
    "short": (np.ones((2, 4)), r"the array has shape \(2, 4\): embeddings are"),
    "three": (np.ones((3, 9, 4)), r"has shape \(3, 9, 4\): embeddings are"),
    "nan": (np.full((9, 4), np.nan), "holds NaN or infinity"),
    "zero": (np.zeros((9, 4)), "a row of zeros, which has no direction"),
    "text": (np.array(["a", "b", "c"]), "no array of numbers"),
}


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("a,b\n1,2\n", "it is damaged, or not of torch.save"),
        ("", "the file is empty"),
        (None, "No such file or directory"),
    ],
    ids=["another", "empty", "missing"],
)
def test_a_file_of_another_ending_is_told_the_endings(
    content: str | None, reason: str, tmp_path: Path, run_eqco: Command
) -> None:
    path = tmp_path / "t.csv"
    if content is not None:
        path.write_text(content)
    error = run_eqco("diagnose", path, status=2)
    assert f"{path} cannot be read" in error
    assert reason in error
    assert error.endswith("; diagnose reads files in .pt, .pth, .npy, .npz\n")


@pytest.mark.parametrize("name", WRONG)
def test_what_is_no_embedding_ends_with_one_sentence(
    name: str, tmp_path: Path, run_eqco: Command
) -> None:
    content, sentence = WRONG[name]
    path = tmp_path / "x.npy"
    np.save(path, content)
    error = run_eqco("diagnose", path, status=2)
    assert error.startswith("error: ")
    assert re.search(sentence, error)


def test_the_command_diagnoses_each_file_and_caps_k(tmp_path: Path, run_eqco: Command) -> None:
    (text,) = {run_eqco("diagnose", path).partition("\n")[2] for path in layouts(tmp_path)}
    assert "K of 64, 255 is cut to 38: there are 39 negatives." in text
    np.save(tmp_path / "one.npy", QUERY)
    alone = run_eqco("diagnose", tmp_path / "one.npy", "--temperature", "0.5")
    assert "No positives in the file" in alone
    torch.save({"conv1.weight": torch.ones(2, 2)}, tmp_path / "w.pt")
    error = run_eqco("diagnose", tmp_path / "w.pt", status=2)
    assert "weights of an encoder are no embeddings" in error
