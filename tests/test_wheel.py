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
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.cli.test_train import write_flat

ROOT = Path(__file__).resolve().parents[1]
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
    assert metadata["Keywords"]
    assert metadata.get_all("Classifier")
    assert metadata["Project-URL"].startswith("Paper, https://arxiv.org/")
    assert "eqco/py.typed" in names
    assert not [name for name in names if name.startswith(("tests/", "examples/"))]


class Place(NamedTuple):
    """The Python of an environment, its packages, and the variables to run it with."""

    python: Path
    packages: Path
    variables: dict[str, str]

    def run(self, *words: str, folder: Path, status: int = 0) -> subprocess.CompletedProcess[str]:
        """Run this Python to the exit status expected."""
        done = subprocess.run(
            [self.python, *words], cwd=folder, env=self.variables,
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == status, done.stdout + done.stderr
        return done


def installed(wheel: Path, folder: Path) -> Place:
    """The wheel in an empty environment, which borrows other packages from this one by a .pth.

    Without the repository: no PYTHONPATH, and no editable install of this tree.
    """
    venv.create(folder / "own", with_pip=False)
    found = sysconfig.get_paths("venv", vars={"base": str(folder / "own")})
    own = Path(found["purelib"])
    with zipfile.ZipFile(wheel) as archive:  # what `pip install --no-deps` does with a pure wheel
        archive.extractall(own)
    (own / "torch.pth").write_text(sysconfig.get_path("purelib") + "\n", encoding="utf-8")
    variables = {name: text for name, text in os.environ.items() if name != "PYTHONPATH"}
    return Place(Path(found["scripts"]) / "python", own, {**variables, "OMP_NUM_THREADS": "1"})


def test_the_installed_loss_needs_torch_alone(wheel: Path, tmp_path: Path) -> None:
    place = installed(wheel, tmp_path)
    done = place.run("-c", PROGRAM, folder=tmp_path, status=2)
    file, value = done.stdout.split()
    assert Path(file).is_relative_to(place.packages)
    assert float(value) == pytest.approx(1.0024, abs=1e-4)  # log(1 + 256 e^-5)
    assert "pip install 'eqco[suite]'" in done.stderr


@pytest.mark.long
def test_the_installed_command_trains_and_diagnoses_without_the_repository(
    wheel: Path, tmp_path: Path
) -> None:
    place = installed(wheel, tmp_path)
    write_flat(tmp_path / "photos", 20)

    def eqco(*words: str) -> str:
        return place.run("-P", "-m", "eqco", *words, folder=tmp_path).stdout

    where = "import eqco, sys; print(eqco.__file__, *sys.path)"
    file, *paths = place.run("-P", "-c", where, folder=tmp_path).stdout.split()
    assert Path(file).is_relative_to(place.packages)
    assert str(ROOT) not in paths
    assert "1 epochs" in eqco("train", "--data", "photos", "--epochs", "1")
    (checkpoint,) = (tmp_path / "runs" / "checkpoints").glob("*.pt")
    assert "20 images of images:" in eqco("diagnose", str(checkpoint), "--data", "photos")
    assert "simo-eqco" in eqco("ls")
