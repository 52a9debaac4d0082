"""`eqco embed`: what it writes is what `eqco diagnose` reads; a picture of nearest neighbours."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
import torchvision
from PIL import Image

from eqco.__main__ import main
from eqco.cli.embed import GAP, SIDE, neighbours
from tests.trees import write_tree

Trained = tuple[Path, Path]


@pytest.fixture(scope="module", params=["32", "40"])
def trained(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Trained:
    """A checkpoint of images in memory or from files, and their folder."""
    folder = tmp_path_factory.mktemp("trained")
    data = write_tree(folder / "tree", each=4)
    places = ["--records", str(folder / "records"), "--checkpoints", str(folder / "checkpoints")]
    words = ["--image-size", request.param, "--epochs", "1", "--workers", "0", "--threads", "1"]
    assert main(["train", "--data", str(data), *words, *places, "--json"]) == 0
    (checkpoint,) = (folder / "checkpoints").glob("*-s0.pt")
    return checkpoint, data


def diagnosis(words: list[str], capsys: pytest.CaptureFixture[str]) -> list[float]:
    """The numbers of the gaps that `eqco diagnose` measures."""
    assert main(["diagnose", *words, "--negatives", "2", "4", "--json"]) == 0
    return [each["measured"] for each in json.loads(capsys.readouterr().out)["gaps"]]


def test_embeddings_of_two_views_have_the_diagnosis_of_the_encoder(
    trained: Trained, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    checkpoint, data = trained
    out, place = tmp_path / "the pairs.npy", ["--data", str(data)]
    capsys.readouterr()
    assert main(["embed", str(checkpoint), *place, "--out", str(out), "--threads", "1"]) == 0
    told = capsys.readouterr().out
    assert told == f"{out}: (2, 16, 128); next: eqco diagnose '{out}' --temperature 0.2\n"
    pairs = diagnosis([str(out)], capsys)
    assert pairs == pytest.approx(diagnosis([str(checkpoint), *place], capsys), abs=1e-5)


def test_features_stand_beside_the_names_of_their_files(
    trained: Trained, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    checkpoint, data = trained
    out = tmp_path / "features.npy"
    words = ["embed", str(checkpoint), "--data", str(data), "--features", "--threads", "1"]
    capsys.readouterr()
    assert main([*words, "--out", str(out)]) == 0
    named = f"; its rows are named in {tmp_path / 'features.names.txt'}\n"
    assert capsys.readouterr().out.endswith(named)
    assert main([*words, "--out", str(out), "--json"]) == 0
    shape = json.loads(capsys.readouterr().out)["shape"]
    assert np.load(out).shape == tuple(shape)
    names = (tmp_path / "features.names.txt").read_text(encoding="utf-8").splitlines()
    assert names == sorted(str(path) for path in (data / "train").glob("*/*"))
    assert shape[0] == len(names)


def test_a_picture_shows_each_image_before_its_neighbours(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    weights, out = tmp_path / "resnet.pth", tmp_path / "near.png"
    torch.manual_seed(0)
    torch.save(torchvision.models.resnet18().state_dict(), weights)
    data = write_tree(tmp_path / "tree", each=4)
    words = ["embed", str(weights), "--data", str(data), "--image-size", "32", "--threads", "1"]
    assert main([*words, "--picture", str(out)]) == 0
    assert "nearest neighbours behind it" in capsys.readouterr().out
    with Image.open(out) as sheet:
        assert sheet.size == (9 * (SIDE + 2 * GAP), 8 * (SIDE + 2 * GAP))
        line = np.asarray(sheet)[: SIDE + 2 * GAP].astype(float)
    assert (line[0] == 255).all()
    with Image.open(data / "train" / "n01" / "0.JPEG") as first:
        shade = np.asarray(first.convert("RGB")).mean()
    assert line[GAP:-GAP, GAP : GAP + SIDE].mean() == pytest.approx(shade, abs=3)


def test_a_picture_does_not_replace_an_image(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = write_tree(tmp_path / "tree", each=4) / "train"
    image = (data / "n01" / "0.JPEG").rename(data / "n01" / "0.png")
    before = image.read_bytes()
    assert main(["embed", "no.pt", "--data", str(data), "--picture", str(image)]) == 2
    assert "would be lost: write to another file" in capsys.readouterr().err
    assert image.read_bytes() == before


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
    case: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    torch.save(torchvision.models.resnet18().state_dict(), "resnet.pth")
    words, sentence = WRONG[case]
    assert main(["embed", "resnet.pth", *words]) == 2
    out, err = capsys.readouterr()
    assert sentence in err
    assert (out, err.count("\n")) == ("", 1)
    assert not list(tmp_path.glob("x.*"))
