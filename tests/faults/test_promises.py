"""Kind 11: what a sentence promises or advises is there."""

from __future__ import annotations

import ast
import json
import os
import re
from dataclasses import replace
from pathlib import Path

import pytest

from eqco.artifacts.run_files import Run
from eqco.cli import parser as parser_of_eqco
from eqco.config import Machine
from eqco.data import open_images
from eqco.engine.pretrain import Pretraining
from eqco.runtime.validation import TrainingError
from reproductions.__main__ import parser as parser_of_reproductions
from reproductions.harness.options import OF_PYTEST
from tests.faults.damage import RECIPE
from tests.faults.test_drawn import words_of
from tests.processes import ROOT, python

# Options of pytest, torchrun, pip, git, squeue and our pytest plugins that sentences may name.
OTHERS = {"--nproc-per-node", "--standalone", "--collect-only", "--format", "--help"}


def sentences() -> dict[str, str]:
    """Every text in a `raise`, by the text; with the file and line that has it."""
    places = {}
    for package in ("eqco", "reproductions"):
        for file in (ROOT / package).rglob("*.py"):
            for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
                if isinstance(node, ast.Raise) and node.exc is not None:
                    parts = [part for part in ast.walk(node.exc) if isinstance(part, ast.Constant)]
                    texts = [part.value for part in parts if isinstance(part.value, str)]
                    places[" ".join(texts)] = f"{file.relative_to(ROOT)}:{node.lineno}"
    return places


def test_every_option_that_an_error_names_exists() -> None:
    known = {*words_of(parser_of_eqco()[0]), *words_of(parser_of_reproductions())}
    known |= {f"--{name}" for name in OF_PYTEST} | OTHERS
    named = {
        (option, place)
        for text, place in sentences().items()
        for option in re.findall(r"--[a-z][a-z-]*[a-z]", text)
    }
    assert len(named) > 20
    assert {option for option in named if option[0] not in known} == set()


@pytest.mark.parametrize("has_checkpoint", [False, True])
def test_a_diverged_run_tells_the_truth_about_its_checkpoint(
    has_checkpoint: bool, tmp_path: Path
) -> None:
    machine = Machine(threads=1, checkpoints=tmp_path)
    work = Pretraining(Run(RECIPE, 0, machine), open_images(RECIPE, 0, machine))
    path = Run(RECIPE, 0, machine).checkpoint
    if has_checkpoint:
        path.write_bytes(b"")
    text = str(work.diverged("the loss is nan", 3))
    assert ("it has no checkpoint" in text) != has_checkpoint
    assert (str(path) in text) == has_checkpoint
    assert "--learning-rate" in text
    assert "--learning-rate" in words_of(parser_of_eqco()[0])


def test_a_batch_that_is_too_large_names_the_size_that_fits(tmp_path: Path) -> None:
    machine = Machine(threads=1, checkpoints=tmp_path)
    images = open_images(RECIPE, 0, machine)
    large = replace(RECIPE, batch_size=2**20, num_negatives=1)
    with pytest.raises(TrainingError, match=f"batch_size is {images.shuffle.total} at most"):
        Pretraining(Run(large, 0, machine), images)
    Pretraining(Run(replace(RECIPE, batch_size=images.shuffle.total), 0, machine), images)


PLUGIN = """
def pytest_addoption(parser):
    group = parser.getgroup("playwright")
    group.addoption("--device", default=None, action="store", help="of a browser")
    group.addoption("--seeds", default="other", help="of a shuffler")
"""


def test_options_of_another_plugin_do_not_end_a_session(tmp_path: Path) -> None:
    (tmp_path / "browser.py").write_text(PLUGIN)
    common = ["-p", "browser", "reproductions", "--scale=smoke", "-p", "no:cacheprovider"]
    sessions = [
        [*common, "--eqco-device=banana", "--device=iPhone"],
        [*common, "--device=iPhone", "--eqco-seeds=2", "--collect-only", "-v"],
    ]
    path = os.pathsep.join([str(tmp_path), str(ROOT)])
    done = python(
        "-m", "tests.programs.pytest_sessions", entered=json.dumps(sessions), PYTHONPATH=path
    )
    (wrong, text), (right, output) = json.loads(done.stdout)
    assert (wrong, right) == (4, 0)
    assert "banana" in text + done.stderr  # our option is read, and not the other plugin's
    assert "Traceback" not in text + done.stderr
    assert "--device is another plugin's here: the tables take --eqco-device" in output
