"""The diffs of docs/adding.md apply to this tree, and what they add is there by its name."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.processes import ROOT, python

DIFFS = sorted((ROOT / "docs" / "adding").glob("*.diff"))
PROGRAM = """
import runpy, sys
from dataclasses import replace
from pathlib import Path
from eqco.engine.run import run
from eqco.config import Machine
from reproductions.__main__ import main
from reproductions.scales import SCALES
base = replace(SCALES["smoke"].base, batch_size=16, num_negatives=15, epochs=1, data_part=0.02)
machine = Machine(threads=1, checkpoints=Path("checkpoints"))
for changes in ({"method": "symmetric"}, {"data": "digits"}):
    record = run(replace(base, **changes), 0, machine, Path("records"))
    print(record.steps > 0, record.recipe.method, record.recipe.data)
main(["tables"])
sys.argv[1:] = ["--out", "."]
runpy.run_module("figures.margin", run_name="__main__")
"""
PROOFS = {  # what the program prints
    "method": "True symmetric",
    "data_set": "True simo digits",
    "table": "11 the momentum encoder",
}
CHOSEN = ["-q", "-k", "hinge or every"]
OF_LOSSES = ["tests/losses/test_definition.py", "tests/losses/test_functional.py"]


@pytest.fixture(scope="module")
def patched(tmp_path_factory: pytest.TempPathFactory) -> Path:
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
    assert {diff.stem for diff in DIFFS} == {*PROOFS, "loss", "figure"}
    for diff in DIFFS:
        assert f'--8<-- "docs/adding/{diff.name}"' in page


def test_a_loss_that_a_diff_adds_is_tested(patched: Path) -> None:
    words = ("-m", "pytest", *CHOSEN, *OF_LOSSES)
    assert " passed" in python(*words, folder=patched, PYTHONPATH=str(patched)).stdout


def test_what_diffs_add_works(patched: Path) -> None:
    pytest.importorskip("sklearn", reason="scikit-learn ships the digits")
    output = python("-c", PROGRAM, folder=patched, PYTHONPATH=str(patched)).stdout
    assert [name for name, text in PROOFS.items() if text not in output] == []
    assert (patched / "margin.png").stat().st_size > 10_000
    assert (patched / "margin.pdf").exists()
    assert len((patched / "margin.csv").read_text(encoding="utf-8").splitlines()) == 16
