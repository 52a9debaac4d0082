"""Backbones of other programs are recognised under any prefix; exported ones load elsewhere."""

from __future__ import annotations

import shlex
import subprocess
import sys
import zipfile
from argparse import Namespace
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
import torchvision
from torch import Tensor

from eqco.analysis.embedding_files import read_embeddings
from eqco.artifacts.checkpoint import Damaged, read, save
from eqco.artifacts.pretrained import load_backbone
from eqco.methods.encoder import BACKBONES, build_encoder
from eqco.methods.simo import SiMo
from eqco.recipe import Recipe
from eqco.runtime.tensor_files import check_size
from tests.conftest import Command


def weights(name: str) -> dict[str, Tensor]:
    """A torchvision model's state, classifier included."""
    torch.manual_seed(0)
    return dict(torchvision.models.get_model(name, weights=None).state_dict())


def written(folder: Path, state: object) -> Path:
    """A file of weights."""
    torch.save(state, folder / "weights.pth")
    return folder / "weights.pth"


@pytest.mark.parametrize("name", ["resnet18", "resnet34"])
def test_a_resnet_is_recognised_and_loaded(name: str, tmp_path: Path) -> None:
    state = weights(name)
    loaded = load_backbone(written(tmp_path, state))
    assert (loaded.name, loaded.channels, loaded.image_size) == (name, 3, 224)
    for key, value in loaded.backbone.state_dict().items():
        assert torch.equal(value, state[key])


def test_a_small_backbone_of_ours_is_recognised(tmp_path: Path) -> None:
    state = BACKBONES["small-rgb"]().state_dict()
    loaded = load_backbone(written(tmp_path, state))
    assert (loaded.name, loaded.image_size) == ("small-rgb", 32)


def test_other_weights_are_named(tmp_path: Path) -> None:
    path = written(tmp_path, {"a": torch.ones(2)})
    with pytest.raises(ValueError, match=r"holds no weights of a known backbone \(it has a\)"):
        load_backbone(path)
    with pytest.raises(ValueError, match="unknown backbone 'resnet5': did you mean resnet5"):
        load_backbone(path, "resnet5")
    path = written(tmp_path, weights("resnet34"))
    with pytest.raises(ValueError, match="holds no weights of resnet18"):
        load_backbone(path, "resnet18")


def odd(state: dict[str, Tensor]) -> dict[str, object]:
    """What stands beside weights in files of other programs."""
    return {
        "sparse": torch.eye(3).to_sparse(), "wide": torch.zeros(()).expand(10**9, 4),
        "complex": torch.ones(2, dtype=torch.complex64), "none": torch.empty(0, device="meta"),
        "best": torch.tensor(float("inf")), "bits": torch.quantize_per_tensor(
            torch.ones(2), 0.1, 0, torch.qint8), 3: [torch.ones(1)], "epoch": 3,
    }  # fmt: skip


WRAPPED: dict[str, Callable[[dict[str, Tensor]], object]] = {
    "older format": lambda state: state,
    "keys before queries": lambda state: {"epoch": 3, "state_dict": {
        **{f"module.encoder_k.{key}": value + 1 for key, value in state.items()},
        **{f"module.encoder_q.{key}": value for key, value in state.items()},
        "module.encoder_q.fc.2.weight": torch.ones(3),
    }},
    "before batches were counted": lambda state: {
        key: value for key, value in state.items() if "num_batches" not in key
    },
    "odd tensors beside": lambda state: {**state, **odd(state)},
    "state_dict": lambda state: {"state_dict": state, "optimizer": odd(state)},
    "model in state_dict": lambda state: {
        "model": {"state_dict": {f"module.{key}": value for key, value in state.items()}}
    },
    "average beside": lambda state: {
        "ema": {key: value + 1 for key, value in state.items()}, "model": state
    },
    "teacher beside": lambda state: {
        "teacher": {f"backbone.{key}": value + 1 for key, value in state.items()},
        "student": {f"backbone.{key}": value for key, value in state.items()},
    },
    "double": lambda state: {key: value.double() for key, value in state.items()},
}  # fmt: skip


@pytest.mark.parametrize("kind", WRAPPED)
def test_weights_are_found_wherever_they_are(kind: str, tmp_path: Path) -> None:
    state, path = weights("resnet18"), tmp_path / "w.pth"
    new = kind != "older format"
    torch.save(WRAPPED[kind](state), path, _use_new_zipfile_serialization=new)
    loaded = load_backbone(path)
    assert loaded.name == "resnet18"
    assert torch.equal(loaded.backbone.state_dict()["conv1.weight"], state["conv1.weight"])


def lightning(state: dict[str, Tensor], path: Path) -> None:
    """A checkpoint with hyperparameters that are objects."""
    torch.save({"state_dict": state, "hyper_parameters": Namespace(lr=1), "epoch": 3}, path)


def model_of(state: dict[str, Tensor]) -> torch.nn.Module:
    model = torchvision.models.resnet18()
    model.load_state_dict(state)
    return model


def scripted(state: dict[str, Tensor], path: Path) -> None:
    torch.jit.script(model_of(state)).save(path)


def whole_model(state: dict[str, Tensor], path: Path) -> None:
    torch.save({"model": model_of(state), "args": Namespace()}, path)


@pytest.mark.parametrize("write", [lightning, scripted, whole_model])
def test_objects_in_a_file_are_refused_with_the_line_that_makes_a_plain_one(
    write: Callable[[dict[str, Tensor], Path], None], tmp_path: Path
) -> None:
    state, path = weights("resnet18"), tmp_path / "it's a.ckpt"
    write(state, path)
    with pytest.raises(ValueError, match="it holds Python objects") as got:
        load_backbone(path)
    line = str(got.value).partition("if you trust it, ")[2].partition(" makes plain.pt")[0]
    subprocess.run([sys.executable, *shlex.split(line)[1:]], cwd=tmp_path, check=True)
    loaded = load_backbone(tmp_path / "plain.pt")
    assert torch.equal(loaded.backbone.state_dict()["conv1.weight"], state["conv1.weight"])


def test_what_is_no_file_of_weights_is_one_sentence(tmp_path: Path) -> None:
    path = tmp_path / "w.safetensors"
    path.write_bytes((2).to_bytes(8, "little") + b"{}")
    with pytest.raises(ValueError, match=r"it is of safetensors, python -c .*load_file"):
        load_backbone(path)
    pointer = b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n"
    texts = (b"<!DOCTYPE html><html>404</html>", b"{}", pointer)
    for content in (b"", b"x", b"\x89HDF\r\n\x1a\n", b"PK\x05\x06" + bytes(18), *texts):
        path.write_bytes(content)
        with pytest.raises(ValueError, match="safetensors cannot be read") as got:
            load_backbone(path)
        assert "\n" not in str(got.value)
        assert "Python objects" not in str(got.value)
    bad = {key: value * float("nan") for key, value in weights("resnet18").items()}
    with pytest.raises(ValueError, match=r"weights\.pth: conv1\.weight is not finite"):
        load_backbone(written(tmp_path, bad))


def test_a_tensor_larger_than_its_file_is_refused(tmp_path: Path) -> None:
    """One number, expanded to gigabytes: its size is told before it is taken."""
    wide = torch.zeros(()).expand(64, 3, 7, 7)
    with pytest.raises(ValueError, match=r"conv1.weight would take 37,632 bytes, the file has"):
        check_size("conv1.weight", wide, written(tmp_path, wide))
    path = written(tmp_path, torch.zeros(()).expand(2, 10**9, 2))
    with pytest.raises(ValueError, match=r"would take 16,000,000,000 bytes, the file has"):
        read_embeddings(path.rename(tmp_path / "e.pt"))
    path = written(tmp_path, {"method": {"a": torch.zeros(()).expand(4 * 10**9)}, "digest": "x"})
    with pytest.raises(Damaged, match=r"method.a would take 16,000,000,000 bytes"):
        read(path, "method")
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("w/data/0", bytes(10**6))
    with pytest.raises(ValueError, match="its parts are larger than the file"):
        load_backbone(path)


# Exported backbones load where they are meant to, and give the same features.


def checkpoint_of(backbone: str, folder: Path) -> Path:
    method = SiMo(build_encoder(backbone, 16, seed=0), num_negatives=3)
    recipe = Recipe(backbone=backbone, embedding_dim=16)
    path = folder / f"{backbone}.pt"
    save(path, {"method": method.state_dict(), "recipe": asdict(recipe)})
    return path


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    """A checkpoint of an untrained ResNet-18 with the ImageNet stem."""
    return checkpoint_of("resnet18", tmp_path)


def check_all_but_classifier(backbone: torch.nn.Module, state: dict[str, torch.Tensor]) -> None:
    """Load weights into a model of torchvision, which may lack no other ones than these."""
    keys = backbone.load_state_dict(state, strict=False)
    assert set(keys.missing_keys) == {"fc.weight", "fc.bias"}
    assert not keys.unexpected_keys


def test_torchvision_loads_all_but_its_classifier(
    checkpoint: Path, tmp_path: Path, run_eqco: Command
) -> None:
    out = tmp_path / "backbone.pt"
    run_eqco("export", checkpoint, out, "--to", "torchvision")
    resnet = torchvision.models.resnet18()
    check_all_but_classifier(resnet, torch.load(out, weights_only=True))
    resnet.fc = torch.nn.Identity()
    images = torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    ours = build_encoder("resnet18", 16, seed=0).backbone.eval()
    torch.testing.assert_close(resnet.eval()(images), ours(images))


def test_moco_reads_its_own_names(checkpoint: Path, tmp_path: Path, run_eqco: Command) -> None:
    """Its linear classifier keeps `module.encoder_q.` keys, bar the head, and wants only fc."""
    out, prefix = tmp_path / "moco.pt", "module.encoder_q."
    run_eqco("export", checkpoint, out, "--to", "moco")
    exported = torch.load(out, weights_only=True)
    assert exported["arch"] == "resnet18"
    assert all(key.startswith(prefix) for key in exported["state_dict"])
    state = {key.removeprefix(prefix): value for key, value in exported["state_dict"].items()}
    check_all_but_classifier(torchvision.models.resnet18(), state)


def create_model(name: str, num_classes: int) -> torch.nn.Module:
    """As timm's: its ResNets have torchvision's parameters, and none of a classifier here."""
    assert num_classes == 0
    model = torchvision.models.get_model(name)
    model.fc = torch.nn.Identity()
    return model


@pytest.mark.parametrize(
    ("backbone", "layout"),
    [
        ("resnet18", []), ("resnet18-small-images", []), ("tiny-gray", []),
        ("resnet18", ["--to", "timm"]), ("resnet18-small-images", ["--to", "timm"]),
    ],
)  # fmt: skip
def test_the_lines_that_export_prints_load_what_it_wrote(
    backbone: str, layout: list[str], tmp_path: Path, run_eqco: Command
) -> None:
    path, out = checkpoint_of(backbone, tmp_path), tmp_path / "backbone.pt"
    first, *lines = run_eqco("export", path, out, *layout).splitlines()
    assert first.startswith(f"wrote {out}: {backbone}, ")
    code = [line.strip() for line in lines if line.startswith("    ")]
    assert sum("conv1" in line or "maxpool" in line for line in code) == 2 * ("small-" in backbone)
    names: dict[str, Any] = {"torch": torch, "torchvision": torchvision}
    names["timm"] = SimpleNamespace(create_model=create_model)
    exec("\n".join(code), names)
    own = build_encoder(backbone, 16, seed=0).backbone.state_dict()
    loaded = names["model"].state_dict()
    assert own.keys() <= loaded.keys()
    for name, value in own.items():
        torch.testing.assert_close(loaded[name], value, rtol=0, atol=0)


def test_an_impossible_export_ends_with_one_sentence(
    checkpoint: Path, tmp_path: Path, run_eqco: Command
) -> None:
    out = tmp_path / "out.pt"

    def error(path: Path, *words: str) -> str:
        return run_eqco("export", path, out, *words, status=2)

    assert "none.pt cannot be read" in error(tmp_path / "none.pt")
    gray, small = (checkpoint_of(f, tmp_path) for f in ("tiny-gray", "resnet18-small-images"))
    sentence = (
        "backbone 'tiny-gray' is not one of torchvision or timm: train with --backbone resnet"
    )
    for layout in ("torchvision", "timm", "moco"):
        assert sentence in error(gray, "--to", layout)
    assert "has a stem of 3x3 for images of 32 pixels" in error(small, "--to", "moco")
    assert "unknown layout 'keras'" in error(checkpoint, "--to", "keras")
    assert not out.exists()
    before = small.read_bytes()
    text = run_eqco("export", checkpoint, small, status=2)
    assert "resnet18-small-images.pt is the checkpoint of a run: name" in text
    assert small.read_bytes() == before
