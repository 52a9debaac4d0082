"""What the tests share: one thread, a seeded generator, a machine, subprocess environments.

Nothing is downloaded, and nothing is written outside `tmp_path`.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor

from eqco.config import Machine

ROOT = Path(__file__).resolve().parents[1]
Outcomes = list[tuple[int, str]]


def pytest_addoption(parser: pytest.Parser) -> None:
    """Declare --long, for `tox -e faults`."""
    parser.addoption("--long", action="store_true", help="also run tests marked long")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Skip tests marked long, unless --long is given."""
    if not config.getoption("--long", False):
        skipped = pytest.mark.skip(reason="long: give --long, as tox -e faults does")
        for item in items:
            if item.get_closest_marker("long"):
                item.add_marker(skipped)


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
    """One thread, checkpoints under `tmp_path`, written at the end of training only."""
    return Machine(
        threads=1,
        data_dir=tmp_path / "data",
        checkpoints=tmp_path / "checkpoints",
        checkpoint_seconds=3600.0,
    )


@pytest.fixture(scope="session")
def environment() -> dict[str, str]:
    """Environment of a subprocess that imports this working tree and computes on one thread.

    Without the variables of pytest-xdist, by which a pytest of its own would think it is a worker.
    """
    own = {name: text for name, text in os.environ.items() if not name.startswith("PYTEST_XDIST")}
    return {**own, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}


@pytest.fixture
def similarity_case(generator: torch.Generator) -> Callable[..., tuple[Tensor, Tensor]]:
    """Makes random similarities: positive (N,) and negatives (N, K), in [-1, 1], float64."""

    def make(num_queries: int = 5, num_negatives: int = 7) -> tuple[Tensor, Tensor]:
        both = torch.rand(num_queries, 1 + num_negatives, generator=generator, dtype=torch.float64)
        both = 2 * both - 1
        return both[:, 0].clone(), both[:, 1:].clone()

    return make


@pytest.fixture(scope="session")
def sessions(environment: dict[str, str]) -> Callable[[list[list[str]], Path], Outcomes]:
    """Exit status and output of `pytest WORDS` in the root of the project, for each list of words.

    Records and checkpoints go to the folder given.
    """

    def outcomes(words: list[list[str]], folder: Path) -> Outcomes:
        places = [f"--{name}={folder / name}" for name in ("records", "checkpoints")]
        given = [[*each, *places, "-p", "no:cacheprovider"] for each in words]
        done = subprocess.run(
            [sys.executable, "-m", "tests.programs.pytest_sessions"],
            cwd=ROOT, input=json.dumps(given), capture_output=True, text=True, check=False,
            env={**environment, "COLUMNS": "80"},
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        return [(status, text) for status, text in json.loads(done.stdout)]

    return outcomes
