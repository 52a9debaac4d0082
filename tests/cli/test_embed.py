"""`eqco embed`: what it writes is what `eqco diagnose` reads; a picture of nearest neighbours."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from eqco.__main__ import main
from eqco.cli.embed import GAP, SIDE, neighbours
from tests.conftest import Command

Trained = tuple[Path, Path]


@pytest.fixture(scope="module", params=["32", "40"])
def trained(
    request: pytest.FixtureRequest, sixteen_images: Path, tmp_path_factory: pytest.TempPathFactory
) -> Trained:
    """A checkpoint of images in memory or from files, and their folder."""
    folder = tmp_path_factory.mktemp("trained")
    places = ["--records", str(folder / "records"), "--checkpoints", str(folder / "checkpoints")]
    words = ["--image-size", request.param, "--epochs", "1", "--workers", "0", "--threads", "1"]
    assert main(["train", "--data", str(sixteen_images), *words, *places, "--json"]) == 0
    (checkpoint,) = (folder / "checkpoints").glob("*-s0.pt")
    return checkpoint, sixteen_images


def test_embeddings_of_two_views_have_the_diagnosis_of_the_encoder(
    trained: Trained, tmp_path: Path, run_eqco: Command
) -> None:
    checkpoint, data = trained
    out, place = tmp_path / "the pairs.npy", ["--data", data]

    def gaps(*words: object) -> list[float]:
        text = run_eqco("diagnose", *words, "--negatives", "2", "4", "--json")
        return [gap["measured"] for gap in json.loads(text)["gaps"]]

    text = run_eqco("embed", checkpoint, *place, "--out", out, "--threads", "1")
    assert text == f"{out}: (2, 16, 128); next: eqco diagnose '{out}' --temperature 0.2\n"
    assert gaps(out) == pytest.approx(gaps(checkpoint, *place), abs=1e-5)


def test_features_stand_beside_the_names_of_their_files(
    trained: Trained, tmp_path: Path, run_eqco: Command
) -> None:
    checkpoint, data = trained
    out = tmp_path / "features.npy"
    words = ["embed", checkpoint, "--data", data, "--features", "--threads", 1, "--out", out]
    named = f"; its rows are named in {tmp_path / 'features.names.txt'}\n"
    assert run_eqco(*words).endswith(named)
    shape = json.loads(run_eqco(*words, "--json"))["shape"]
    assert np.load(out).shape == tuple(shape)
    names = (tmp_path / "features.names.txt").read_text(encoding="utf-8").splitlines()
    assert names == sorted(str(path) for path in (data / "train").glob("*/*"))
    assert shape[0] == len(names)


def test_a_picture_shows_each_image_before_its_neighbours(
    sixteen_images: Path, resnet18: Path, tmp_path: Path, run_eqco: Command
) -> None:
    out = tmp_path / "near.png"
    words = ["--data", sixteen_images, "--image-size", "32", "--threads", "1"]
    text = run_eqco("embed", resnet18, *words, "--picture", out)
    assert "nearest neighbours behind it" in text
    with Image.open(out) as sheet:
        assert sheet.size == (9 * (SIDE + 2 * GAP), 8 * (SIDE + 2 * GAP))
        line = np.asarray(sheet)[: SIDE + 2 * GAP].astype(float)
    assert (line[0] == 255).all()
    with Image.open(sixteen_images / "train" / "n01" / "0.JPEG") as first:
        shade = np.asarray(first.convert("RGB")).mean()
    assert line[GAP:-GAP, GAP : GAP + SIDE].mean() == pytest.approx(shade, abs=3)


def test_neighbours_are_those_of_the_largest_cosine(generator: torch.Generator) -> None:
    features = torch.randn(20, 5, generator=generator)
    features[7] = 3 * features[0]  # the same direction
    places = neighbours(features)
    assert places.shape == (8, 9)
    assert places[:, 0].tolist() == [0, 2, 5, 7, 10, 12, 15, 17]
    assert (places[0, :2].tolist(), places[3, :2].tolist()) == ([0, 7], [7, 0])
    right = torch.nn.functional.cosine_similarity(features[2], features, dim=1)
    assert places[1].tolist() == right.topk(9).indices.tolist()


WRONG = {
    "nothing": ([], "give --out FILE.npy, --picture FILE.png or both"),
    "array": (["--out", "x.csv"], "--out x.csv: the name of its file ends in .npy"),
    "picture": (["--picture", "x.jpg"], "--picture x.jpg: the name of its file ends in .png"),
    "no data": (["--out", "x.npy", "--features"], "give --data with images: only encoders of gly"),
    "no projector": (["--out", "x.npy"], "resnet.pth has a backbone and no embeddings: give --f"),
}  # fmt: skip


@pytest.mark.parametrize("case", WRONG)
def test_wrong_outputs_are_one_sentence(
    case: str, resnet18: Path, tmp_path: Path, run_eqco: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    words, sentence = WRONG[case]
    error = run_eqco("embed", resnet18, *words, status=2)
    assert sentence in error
    assert error.count("\n") == 1
    assert not list(tmp_path.glob("x.*"))
