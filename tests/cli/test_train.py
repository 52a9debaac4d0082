"""`eqco train`, `probe`, `ls`, `show` on anybody's images."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torchvision
from PIL import Image

from eqco.__main__ import main
from eqco.artifacts.pretrained import PretrainedBackbone
from eqco.artifacts.record import Record
from eqco.cli.probe import opened
from eqco.cli.train import with_options
from eqco.config import Machine
from eqco.data.image_folder import scan
from eqco.data.labelled import content_hash, labelled_tree
from eqco.engine.progress import Live
from eqco.methods.encoder import build_encoder
from eqco.recipe import Recipe
from tests.trees import write_tree


def write_flat(folder: Path, count: int) -> Path:
    """Odd-sized JPEG files in one folder, some gray."""
    draw = np.random.default_rng(0)
    folder.mkdir()
    for place in range(count):
        height, width = (int(side) for side in draw.integers(9, 120, size=2))
        pixels = draw.integers(0, 255, size=(4, 4, 3)).astype(np.uint8)
        picture = Image.fromarray(pixels).resize((width, height))
        picture.convert("L" if place % 7 == 0 else "RGB").save(folder / f"photo {place}.jpg")
    return folder


@pytest.fixture
def places(tmp_path: Path) -> list[str]:
    """Options for records and checkpoints, and one thread."""
    folders = {"--records": tmp_path / "records", "--checkpoints": tmp_path / "checkpoints"}
    return [word for n, p in folders.items() for word in (n, str(p))] + ["--threads", "1"]


def test_300_odd_sized_files_in_one_folder_train_by_one_command(
    tmp_path: Path, places: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["train", "--data", str(write_flat(tmp_path / "flat", 300)), "--epochs", "1", *places]
    assert main(words) == 0
    out = capsys.readouterr().out
    assert out.startswith("300 images, made 32 × 32; --image-size 96 reads them larger\n")
    assert re.search(r"\n  loss        [▁▂▃▄▅▆▇█]{4} \d\.\d{3} to \d\.\d{3}\n", out)
    assert "--data LABELLED  # CLASS/*, or train/CLASS/* and val/CLASS/*\n" in out
    assert "batches of 64" in out
    assert "images/s" in out
    assert " left" in out
    (file,) = (tmp_path / "records").glob("*.json")
    record = Record.read(file)
    assert (record.steps, record.recipe.num_negatives, record.metrics) == (4, 16, {})
    assert record.diagnostics["cv2"] > 0
    (checkpoint,) = (tmp_path / "checkpoints").glob("*-s0.pt")
    assert str(checkpoint) in out
    assert main(words) == 0
    assert "already done: --again trains anew" in capsys.readouterr().out
    assert main(["diagnose", str(checkpoint), "--data", str(tmp_path / "flat")]) == 0
    assert "300 images of images:" in capsys.readouterr().out
    assert main(["ls", str(tmp_path), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    kinds = {line["kind"] for line in found}
    assert kinds == {"record", "checkpoint", "other"} or kinds == {"record", "checkpoint"}
    assert main(["show", str(tmp_path / "records")]) == 0
    assert "no labels" in capsys.readouterr().out
    assert main(["show", str(file)]) == 0
    assert "no metrics: the images have no labels" in capsys.readouterr().out


def test_images_are_read_from_files_at_another_size(
    tmp_path: Path, places: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    data = write_tree(tmp_path / "tree", each=4)
    words = ["--image-size", "40", "--epochs", "1", "--workers", "0"]
    assert main(["train", "--data", str(data), *words, *places]) == 0
    assert "16 images, crops of 40 × 40 read from the files\n" in capsys.readouterr().out
    assert main(["train", "--data", str(data), *words, *places, "--json"]) == 0
    body = json.loads(capsys.readouterr().out)
    assert body["recipe"]["data"].startswith("files:")
    assert body["recipe"]["image_size"] == 40
    assert body["steps"] == 4
    (checkpoint,) = (tmp_path / "checkpoints").glob("*-s0.pt")
    assert main(["probe", str(checkpoint), "--data", str(data), "--threads", "1", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["train"], found["held_out"], found["classes"]) == (16, 8, 4)
    assert found["largest_class"] == 25
    assert set(found["metrics"]) == {"linear", "knn", "class_mean"}


def test_a_probe_of_foreign_weights(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = write_tree(tmp_path / "tree", each=3)
    torch.manual_seed(0)
    torch.save(torchvision.models.resnet18().state_dict(), tmp_path / "resnet.pth")
    words = ["probe", str(tmp_path / "resnet.pth"), "--image-size", "64", "--threads", "1"]
    assert main(words) == 2
    assert "give --data with images: only encoders of glyphs need none" in capsys.readouterr().err
    assert main([*words, "--data", str(data)]) == 0
    out = capsys.readouterr().out
    assert "resnet18, 4 classes, 12 training and 8 held-out images" in out
    assert "linear probe" in out


def probed(checkpoint: Path, data: Path, capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    """The JSON of a probe of 32 pixels."""
    words = ["probe", str(checkpoint), "--image-size", "32", "--threads", "1"]
    assert main([*words, "--data", str(data), "--json"]) == 0
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    return found


def test_class_folders_alone_are_split_by_content(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    weights = tmp_path / "resnet.pth"
    torch.save(torchvision.models.resnet18().state_dict(), weights)
    data = write_tree(tmp_path / "tree", each=11) / "train"
    (data / "n01" / "a copy.JPEG").write_bytes((data / "n01" / "3.JPEG").read_bytes())
    found = probed(weights, data, capsys)
    assert (found["split"], found["copies"]) == ("by content", 0)
    assert found["train"] + found["held_out"] == 45
    assert found["held_out"] in (8, 9)
    first = labelled_tree(data)
    (data / "n02" / "0.JPEG").rename(data / "n02" / "z.JPEG")
    content = [{content_hash(path) for path in labelled_tree(data).held_out.paths()}]
    assert content == [{content_hash(path) for path in first.held_out.paths() if path.exists()}]
    words = ["probe", str(weights), "--data", str(data), "--image-size", "32", "--threads", "1"]
    assert main(words) == 0
    assert "held-out images, a fifth of each class, chosen by content\n" in capsys.readouterr().out
    for path in sorted((data / "n03").iterdir())[1:]:
        path.unlink()
    assert main(words) == 2
    assert "n03 has 1 image(s), 2 are needed" in capsys.readouterr().err
    assert main([*words[:3], str(data / "n03")]) == 2
    assert "0 class folder(s), 2 are needed: CLASS/*, or train/CLASS/*" in capsys.readouterr().err


def test_held_out_files_that_are_training_files_too_are_counted(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    weights = tmp_path / "resnet.pth"
    torch.save(torchvision.models.resnet18().state_dict(), weights)
    data = write_tree(tmp_path / "tree", each=3)
    found = probed(weights, data, capsys)
    assert (found["split"], found["copies"]) == ("as given", 0)
    same = (data / "train" / "n01" / "1.JPEG").read_bytes()
    (data / "val" / "n02" / "1.JPEG").write_bytes(same)
    with pytest.warns(UserWarning, match=r"^1 of 8 held-out files are training files too, such"):
        found = probed(weights, data, capsys)
    assert found["copies"] == 1


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
