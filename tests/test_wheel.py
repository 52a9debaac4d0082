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

import pytest

ROOT = Path(__file__).resolve().parents[1]
# What torch imports itself is allowed; what the suite needs besides is not there.
BLOCKED = ("PIL", "filelock", "kornia", "matplotlib", "pandas", "rich", "scipy", "seaborn",
           "statsmodels", "torchvision")  # fmt: skip
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


def test_the_installed_loss_needs_torch_alone(wheel: Path, tmp_path: Path) -> None:
    venv.create(tmp_path / "own", with_pip=False)
    own = Path(sysconfig.get_path("purelib", "venv", vars={"base": str(tmp_path / "own")}))
    with zipfile.ZipFile(wheel) as archive:  # what `pip install --no-deps` does with a pure wheel
        archive.extractall(own)
    (own / "torch.pth").write_text(sysconfig.get_path("purelib") + "\n", encoding="utf-8")
    environment = {name: text for name, text in os.environ.items() if name != "PYTHONPATH"}
    python = Path(sysconfig.get_path("scripts", "venv", vars={"base": str(tmp_path / "own")}))
    done = subprocess.run(
        [python / "python", "-c", PROGRAM], cwd=tmp_path, env=environment,
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 2, done.stderr
    place, value = done.stdout.split()
    assert Path(place).is_relative_to(own)
    assert float(value) == pytest.approx(1.0024, abs=1e-4)  # log(1 + 256 e^-5)
    assert "pip install 'eqco[suite]'" in done.stderr
