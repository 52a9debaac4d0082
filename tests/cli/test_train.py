"""`eqco train`, `probe`, `embed`, `ls`, `show` on anybody's images; the recipe that fits them."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from eqco.__main__ import main
from eqco.artifacts.pretrained import PretrainedBackbone
from eqco.artifacts.record import Record
from eqco.cli.embed import GAP, SIDE, neighbours
from eqco.cli.probe import opened
from eqco.cli.train import with_options
from eqco.cli.train_defaults import default_recipe, fitting_batch, queue_settings
from eqco.config import Machine
from eqco.data.image_folder import scan
from eqco.data.labelled import content_hash, labelled_tree
from eqco.engine.progress import Live
from eqco.losses.registry import LOSSES
from eqco.methods import METHODS
from eqco.methods.encoder import build_encoder
from eqco.recipe import Recipe
from tests.conftest import Command
from tests.trees import write_flat, write_names, write_tree


@pytest.fixture
def places(tmp_path: Path) -> list[str]:
    """Options for records and checkpoints, and one thread."""
    folders = {"--records": tmp_path / "records", "--checkpoints": tmp_path / "checkpoints"}
    return [word for n, p in folders.items() for word in (n, str(p))] + ["--threads", "1"]


def test_300_odd_sized_files_in_one_folder_train_by_one_command(
    tmp_path: Path, places: list[str], run_eqco: Command
) -> None:
    data = write_flat(tmp_path / "flat", 300)
    words = ["train", "--data", data, "--epochs", "1", *places]
    text = run_eqco(*words)
    assert text.startswith("300 images, made 32 × 32; --image-size 96 reads them larger\n")
    assert re.search(r"\n  loss        [▁▂▃▄▅▆▇█]{4} \d\.\d{3} to \d\.\d{3}\n", text)
    assert "--data LABELLED  # CLASS/*, or train/CLASS/* and val/CLASS/*\n" in text
    (file,) = (tmp_path / "records").glob("*.json")
    (checkpoint,) = (tmp_path / "checkpoints").glob("*-s0.pt")
    for part in ("batches of 64", "images/s", " left", str(checkpoint)):
        assert part in text
    record = Record.read(file)
    assert (record.steps, record.recipe.num_negatives, record.metrics) == (4, 16, {})
    assert record.diagnostics["cv2"] > 0
    assert "already done: --again trains anew" in run_eqco(*words)
    assert "300 images of images:" in run_eqco("diagnose", checkpoint, "--data", data)
    kinds = {line["kind"] for line in json.loads(run_eqco("ls", tmp_path, "--json"))}
    assert kinds - {"other"} == {"record", "checkpoint"}
    assert "no labels" in run_eqco("show", tmp_path / "records")
    assert "no metrics: the images have no labels" in run_eqco("show", file)


def test_images_are_read_from_files_at_another_size(
    sixteen_images: Path, tmp_path: Path, places: list[str], run_eqco: Command
) -> None:
    data = ["--data", sixteen_images]
    words = ["train", *data, "--image-size", 40, "--epochs", 1, "--workers", 0, *places]
    assert "16 images, crops of 40 × 40 read from the files\n" in run_eqco(*words)
    body = json.loads(run_eqco(*words, "--json"))
    assert body["recipe"]["data"].startswith("files:")
    assert (body["recipe"]["image_size"], body["steps"]) == (40, 4)
    (checkpoint,) = (tmp_path / "checkpoints").glob("*-s0.pt")
    probe = json.loads(run_eqco("probe", checkpoint, *data, "--threads", "1", "--json"))
    assert (probe["train"], probe["held_out"], probe["classes"]) == (16, 8, 4)
    assert probe["largest_class"] == 25
    assert set(probe["metrics"]) == {"linear", "knn", "class_mean"}


def test_a_probe_of_foreign_weights(resnet18: Path, tmp_path: Path, run_eqco: Command) -> None:
    words = ["probe", resnet18, "--image-size", "64", "--threads", "1"]
    error = run_eqco(*words, status=2)
    assert "give --data with images: only encoders of glyphs need none" in error
    text = run_eqco(*words, "--data", write_tree(tmp_path / "tree", each=3))
    assert "resnet18, 4 classes, 12 training and 8 held-out images" in text
    assert "linear probe" in text


@pytest.fixture
def probe_words(resnet18: Path) -> list[object]:
    """The words of a probe of 32 pixels; a folder follows."""
    return ["probe", resnet18, "--image-size", "32", "--threads", "1", "--data"]


def test_class_folders_alone_are_split_by_content(
    probe_words: list[object], tmp_path: Path, run_eqco: Command
) -> None:
    data = write_tree(tmp_path / "tree", each=11) / "train"
    (data / "n01" / "a copy.JPEG").write_bytes((data / "n01" / "3.JPEG").read_bytes())
    probe = json.loads(run_eqco(*probe_words, data, "--json"))
    assert (probe["split"], probe["copies"]) == ("by content", 0)
    assert probe["train"] + probe["held_out"] == 45
    assert probe["held_out"] in (8, 9)
    first = labelled_tree(data)
    (data / "n02" / "0.JPEG").rename(data / "n02" / "z.JPEG")
    content = [{content_hash(path) for path in labelled_tree(data).held_out.paths()}]
    assert content == [{content_hash(path) for path in first.held_out.paths() if path.exists()}]
    text = run_eqco(*probe_words, data)
    assert "held-out images, a fifth of each class, chosen by content\n" in text
    for path in sorted((data / "n03").iterdir())[1:]:
        path.unlink()
    assert "n03 has 1 image(s), 2 are needed" in run_eqco(*probe_words, data, status=2)
    error = run_eqco(*probe_words, data / "n03", status=2)
    assert "0 class folder(s), 2 are needed: CLASS/*, or train/CLASS/*" in error


def test_held_out_files_that_are_training_files_too_are_counted(
    probe_words: list[object], tmp_path: Path, run_eqco: Command
) -> None:
    data = write_tree(tmp_path / "tree", each=3)
    probe = json.loads(run_eqco(*probe_words, data, "--json"))
    assert (probe["split"], probe["copies"]) == ("as given", 0)
    same = (data / "train" / "n01" / "1.JPEG").read_bytes()
    (data / "val" / "n02" / "1.JPEG").write_bytes(same)
    with pytest.warns(UserWarning, match=r"^1 of 8 held-out files are training files too, such"):
        probe = json.loads(run_eqco(*probe_words, data, "--json"))
    assert probe["copies"] == 1


def test_a_probe_judges_on_the_tree_of_the_user_whatever_the_training_left_out(
    tmp_path: Path,
) -> None:
    backbone = build_encoder("small-rgb", 8, seed=0).backbone
    recipe = Recipe(data="cifar10", backbone="small-rgb", views="photos", validation=5)
    loaded = PretrainedBackbone(backbone, "small-rgb", recipe)
    images, _ = opened(loaded, scan(write_tree(tmp_path / "tree", each=3)), None, Machine())
    assert images.shuffle.total == 12


def test_a_sentence_about_a_field_names_its_option() -> None:
    text = "num_negatives is 99, but SiMo with batch_size=64 has alpha=3 negatives"
    wanted = "--num-negatives is 99, but SiMo with --batch-size=64 has --alpha=3 negatives"
    names = {"num_negatives", "batch_size", "alpha", "loss"}
    assert with_options(text, names) == wanted
    assert with_options("unknown loss 'x'", names) == "unknown loss 'x'"


def test_a_terminal_has_one_line_of_progress(capsys: pytest.CaptureFixture[str]) -> None:
    live = Live(64, seconds=0.0)
    for step in range(1, 4):
        live("training", step, 3, 2.0)
    out = capsys.readouterr().out
    assert out.count("\n") == 1
    assert out.endswith("0 s left\n")
    assert all(len(part) < 90 for part in out.split("\r\x1b[K"))


# The recipe of one's own images fits their number, and options that do not fit are named.


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three hundred files that are listed, not opened."""
    return write_names(tmp_path_factory.mktemp("images"), *map("{}.jpg".format, range(300)))


@pytest.mark.parametrize("images", [8, 9, 31, 32, 300, 1023, 1024, 10**6])
def test_a_batch_leaves_four_steps_an_epoch(images: int) -> None:
    batch = fitting_batch(images)
    assert 2 <= batch <= 256
    assert images // batch >= 4
    assert batch == 256 or images // (2 * batch) < 4


@pytest.mark.parametrize("batch", [2, 8, 48, 100, 256])
def test_a_queue_holds_whole_batches_whose_parts_are_equal(batch: int) -> None:
    found = queue_settings(batch, 300)
    assert found["queue_size"] % batch == 0 < found["queue_size"]
    assert batch % found["bn_splits"] == 0
    assert batch // found["bn_splits"] > 1


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("loss", LOSSES)
def test_every_method_and_loss_has_a_recipe(method: str, loss: str, folder: Path) -> None:
    recipe = default_recipe(folder, 32, {"method": method, "loss": loss})
    assert (recipe.method, recipe.loss, recipe.batch_size) == (method, loss, 64)
    with_alpha = LOSSES[loss].setting == "alpha"
    assert recipe.num_negatives == (16 if with_alpha else recipe.available())


def test_options_that_are_given_are_kept(folder: Path) -> None:
    given = {
        "batch_size": 32, "epochs": 7, "backbone": "resnet50", "learning_rate": 0.5,
        "num_negatives": 9, "alpha": 64.0, "temperature": 0.1, "method": "moco", "queue_size": 96,
    }  # fmt: skip
    recipe = default_recipe(folder, 224, given)
    assert {name: getattr(recipe, name) for name in given} == given
    assert recipe.from_files
    assert recipe.image_size == 224


def test_the_rate_grows_with_the_batch(folder: Path) -> None:
    rates = [default_recipe(folder, 32, {"batch_size": n}).learning_rate for n in (32, 64)]
    assert rates == pytest.approx([0.02, 0.04])


def test_a_batch_that_does_not_fit_is_named(folder: Path) -> None:
    with pytest.raises(ValueError, match=r"--batch-size 512 is more than the 300 images of .* 64"):
        default_recipe(folder, 32, {"batch_size": 512})


# `eqco embed`: what it writes is what `eqco diagnose` reads; a picture of nearest neighbours.


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
    case: str, resnet18: Path, tmp_path: Path, run_eqco: Command
) -> None:
    words, sentence = WRONG[case]
    error = run_eqco("embed", resnet18, *words, status=2)
    assert sentence in error
    assert error.count("\n") == 1
    assert not list(tmp_path.glob("x.*"))
