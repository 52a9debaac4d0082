"""The diffs of docs/adding.md apply to this tree, and what they add is there by its name."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.processes import ROOT, python

DIFFS = sorted((ROOT / "docs" / "adding").glob("*.diff"))
TRAIN = """
from dataclasses import replace
from pathlib import Path
from eqco.engine.run import run
from eqco.config import Machine
from reproductions.scales import SCALES
base = replace(SCALES["smoke"].base, batch_size=16, num_negatives=15, epochs=1, data_part=0.02)
machine = Machine(threads=1, checkpoints=Path("checkpoints"))
record = run(replace(base, **CHANGES), 0, machine, Path("records"))
print(record.steps > 0, record.recipe.method, record.recipe.data)
"""
PROOFS: dict[str, tuple[list[str], str]] = {
    "loss": (
        ["-m", "pytest", "-q", "-k", "hinge or every", "tests/losses/test_definition.py",
         "tests/losses/test_functional.py"],
        " passed",
    ),
    "method": (["-c", TRAIN.replace("CHANGES", "{'method': 'symmetric'}")], "True symmetric"),
    "data_set": (["-c", TRAIN.replace("CHANGES", "{'data': 'digits'}")], "True simo digits"),
    "table": (["-m", "reproductions", "tables"], "11 the momentum encoder"),
    "figure": (["-m", "figures.margin", "--out", "."], ""),
}  # fmt: skip


@pytest.fixture(scope="module")
def patched(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the tree with all diffs."""
    folder = tmp_path_factory.mktemp("tree")
    skip = shutil.ignore_patterns("__pycache__", "*.pdf")
    for name in ("eqco", "reproductions", "figures", "tests", "log"):
        shutil.copytree(ROOT / name, folder / name, ignore=skip)
    shutil.copy(ROOT / "pyproject.toml", folder)
    for diff in DIFFS:
        subprocess.run(["git", "apply", "-C1", str(diff)], cwd=folder, check=True)
    return folder


def test_every_diff_has_a_proof_and_stands_on_the_page() -> None:
    page = (ROOT / "docs" / "adding.md").read_text(encoding="utf-8")
    assert {diff.stem for diff in DIFFS} == set(PROOFS)
    for diff in DIFFS:
        assert f'--8<-- "docs/adding/{diff.name}"' in page


@pytest.mark.parametrize("name", PROOFS)
def test_what_a_diff_adds_works(name: str, patched: Path) -> None:
    words, expected = PROOFS[name]
    if name == "data_set":
        pytest.importorskip("sklearn", reason="scikit-learn ships the digits")
    assert expected in python(*words, folder=patched, PYTHONPATH=str(patched)).stdout
    if name == "figure":
        assert (patched / "margin.png").stat().st_size > 10_000
        assert (patched / "margin.pdf").exists()
        assert len((patched / "margin.csv").read_text(encoding="utf-8").splitlines()) == 16
