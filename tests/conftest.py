"""What the tests share: one thread, a seeded generator, a data set of noise, a recipe of seconds.

Nothing is downloaded, and nothing is written outside `tmp_path`.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor

from eqco.data import Dataset, fingerprint_of
from eqco.recipe import SCALES, Machine, Recipe

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> None:
    """Sums are bit-identical from run to run only where the number of threads is."""
    torch.set_num_threads(1)


@pytest.fixture
def generator() -> torch.Generator:
    """A CPU generator with a fixed seed."""
    return torch.Generator().manual_seed(0)


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    """One thread, checkpoints under `tmp_path`, none before the end unless a test asks."""
    return Machine(
        threads=1,
        data_dir=tmp_path / "data",
        checkpoints=tmp_path / "checkpoints",
        checkpoint_seconds=3600.0,
    )


@pytest.fixture
def recipe() -> Recipe:
    """The smoke recipe cut to 20 steps on the set `dots`."""
    base = SCALES["smoke"].base
    return replace(base, batch_size=16, num_negatives=15, epochs=4, embedding_dim=32)


@pytest.fixture(scope="session")
def dots() -> Dataset:
    """Eight random 24-pixel pictures with noise: 80 to train on, 16 held out."""
    return noisy_pictures(seed=0, num_classes=8, train_each=10, test_each=2)


def noisy_pictures(seed: int, num_classes: int, train_each: int, test_each: int) -> Dataset:
    """A set in which each class is one random picture plus noise."""
    draw = torch.Generator().manual_seed(seed)
    pictures = torch.randint(0, 200, (num_classes, 1, 24, 24), generator=draw)

    def part(each: int) -> tuple[Tensor, Tensor]:
        labels = torch.arange(num_classes).repeat_interleave(each)
        noise = torch.randint(0, 56, (len(labels), 1, 24, 24), generator=draw)
        return (pictures[labels] + noise).to(torch.uint8), labels

    parts = (*part(train_each), *part(test_each))
    return Dataset(*parts, num_classes, fingerprint_of(*parts))


@pytest.fixture(scope="session")
def environment() -> dict[str, str]:
    """Of a subprocess that imports this working tree and computes on one thread."""
    return {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}


@pytest.fixture
def similarity_case(generator: torch.Generator) -> Callable[..., tuple[Tensor, Tensor]]:
    """Makes random similarities: positive (N,) and negatives (N, K), in [-1, 1], float64."""

    def make(num_queries: int = 5, num_negatives: int = 7) -> tuple[Tensor, Tensor]:
        both = torch.rand(num_queries, 1 + num_negatives, generator=generator, dtype=torch.float64)
        both = 2 * both - 1
        return both[:, 0].clone(), both[:, 1:].clone()

    return make


# Several pytest sessions in one process: importing torch for each takes longer than all of them.
SESSIONS = """
import contextlib, io, json, os, sys
import pytest
answer = os.fdopen(os.dup(1), "w")
os.dup2(2, 1)  # what runs of other processes print must not get into the answer
outcomes = []
for words in json.load(sys.stdin):
    text = io.StringIO()
    with contextlib.redirect_stdout(text), contextlib.redirect_stderr(text):
        status = pytest.main(words)
    outcomes.append([int(status), text.getvalue()])
json.dump(outcomes, answer)
answer.close()
"""


Outcomes = list[tuple[int, str]]


@pytest.fixture(scope="session")
def sessions(environment: dict[str, str]) -> Callable[[list[list[str]], Path], Outcomes]:
    """Exit status and output of `pytest WORDS` in the root of the project, for each list of words.

    Records and checkpoints go to the folder given.
    """

    def outcomes(words: list[list[str]], folder: Path) -> Outcomes:
        places = [f"--{name}={folder / name}" for name in ("records", "checkpoints")]
        given = [[*each, *places, "-p", "no:cacheprovider"] for each in words]
        done = subprocess.run(
            [sys.executable, "-c", SESSIONS],
            cwd=ROOT, input=json.dumps(given), capture_output=True, text=True, check=False,
            env={**environment, "COLUMNS": "80"},
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        return [(status, text) for status, text in json.loads(done.stdout)]

    return outcomes
