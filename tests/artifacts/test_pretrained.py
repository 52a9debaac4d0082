"""Backbones of other programs are recognised by names and shapes, under any prefix."""

from __future__ import annotations

import shlex
import subprocess
import sys
import zipfile
from argparse import Namespace
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import torchvision
from torch import Tensor

from eqco.analysis.embedding_files import read_embeddings
from eqco.artifacts.checkpoint import Damaged, read
from eqco.artifacts.pretrained import load_backbone
from eqco.methods.encoder import BACKBONES
from eqco.runtime.tensor_files import check_size


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
