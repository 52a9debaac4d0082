"""The wheel, in an environment of its own: the loss needs torch, the command says what it needs."""

from __future__ import annotations

import email
import os
import shutil
import subprocess
import sys
import sysconfig
import venv
import zipfile
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from tests.processes import ROOT
from tests.trees import write_flat

# What torch imports itself is allowed; what the suite needs besides is not there.
BLOCKED = ("PIL", "filelock", "kornia", "matplotlib", "pandas", "rich", "scipy", "seaborn",
           "torchvision")  # fmt: skip
PROGRAM = f"""
import sys
class Blocked:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {BLOCKED}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)
sys.meta_path.insert(0, Blocked())
import eqco, torch
from eqco import EqCoLoss
print(eqco.__file__)
z = torch.eye(32)
print(EqCoLoss(num_negatives=16, alpha=256, temperature=0.2)(z, z).item())
from eqco.__main__ import main
sys.exit(main(["diagnose", "nothing.pt"]))
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel of this tree, built from a copy."""
    source = tmp_path_factory.mktemp("source")
    shutil.copytree(ROOT / "eqco", source / "eqco", ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    build = "from setuptools import build_meta; print(build_meta.build_wheel('.'))"
    done = subprocess.run(
        [sys.executable, "-c", build], cwd=source, capture_output=True, text=True, check=False
    )
    if "No module named 'setuptools'" in done.stderr:
        pytest.skip("setuptools, which builds the wheel, is not installed")
    assert done.returncode == 0, done.stderr[-2000:]
    return next(source.glob("*.whl"))


def test_the_wheel_asks_for_torch_alone(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        about = next(name for name in names if name.endswith("METADATA"))
        entry = next(name for name in names if name.endswith("entry_points.txt"))
        metadata = email.message_from_bytes(archive.read(about))
        commands = archive.read(entry).decode()
    needs = [need for need in metadata.get_all("Requires-Dist", []) if "extra ==" not in need]
    assert [need.split(">")[0] for need in needs] == ["torch"]
    assert {"suite", "test", "lint", "peers", "slurm"} <= set(metadata.get_all("Provides-Extra"))
    assert "eqco = eqco.__main__:main" in commands
    assert "eqco/py.typed" in names
    assert not [name for name in names if name.startswith(("tests/", "examples/"))]


Program = Callable[..., str]


@pytest.fixture
def installed(wheel: Path, tmp_path: Path) -> tuple[Path, Program]:
    """The folder of packages of an empty environment with the wheel, and what runs its Python.

    It borrows other packages from this one by a .pth. Without the repository: no PYTHONPATH, and no
    editable install of this tree.
    """
    venv.create(tmp_path / "own", with_pip=False)
    found = sysconfig.get_paths("venv", vars={"base": str(tmp_path / "own")})
    own = Path(found["purelib"])
    with zipfile.ZipFile(wheel) as archive:  # what `pip install --no-deps` does with a pure wheel
        archive.extractall(own)
    (own / "torch.pth").write_text(sysconfig.get_path("purelib") + "\n", encoding="utf-8")
    variables = {name: text for name, text in os.environ.items() if name != "PYTHONPATH"}

    def run(*words: str, status: int = 0) -> str:
        done = subprocess.run(
            [Path(found["scripts"]) / "python", *words], cwd=tmp_path,
            env={**variables, "OMP_NUM_THREADS": "1"}, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == status, done.stdout + done.stderr
        return done.stdout + done.stderr

    return own, run


def test_the_installed_loss_needs_torch_alone(installed: tuple[Path, Program]) -> None:
    own, run = installed
    file, value, *lines = run("-c", PROGRAM, status=2).splitlines()
    assert Path(file).is_relative_to(own)
    assert float(value) == pytest.approx(1.0024, abs=1e-4)  # log(1 + 256 e^-5)
    assert "pip install 'eqco[suite]'" in lines[-1]


@pytest.mark.long
def test_the_installed_command_trains_and_diagnoses_without_the_repository(
    installed: tuple[Path, Program], tmp_path: Path
) -> None:
    own, run = installed
    write_flat(tmp_path / "photos", 20)
    where = "import eqco, sys; print(eqco.__file__, *sys.path)"
    file, *paths = run("-P", "-c", where).split()
    assert Path(file).is_relative_to(own)
    assert str(ROOT) not in paths
    eqco = partial(run, "-P", "-m", "eqco")
    assert "1 epoch," in eqco("train", "--data", "photos", "--epochs", "1")
    (checkpoint,) = (tmp_path / "runs" / "checkpoints").glob("*-s0.pt")
    assert "20 images of images:" in eqco("diagnose", str(checkpoint), "--data", "photos")
    assert "simo-eqco" in eqco("ls")
