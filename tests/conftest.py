"""What the tests share: one thread, a seeded generator, a machine, subprocess environments.

Nothing is downloaded, and nothing is written outside `tmp_path`.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor

from eqco.config import Machine
from tests.processes import ENVIRONMENT, python

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


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup() -> None:
    """One thread before each test and its fixtures: commands set another number in this process.

    Sums are bit-identical from run to run only where the number of threads is.
    """
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
    """Environment of a subprocess that imports this working tree and computes on one thread."""
    return ENVIRONMENT


@pytest.fixture
def similarity_case(generator: torch.Generator) -> Callable[..., tuple[Tensor, Tensor]]:
    """Makes random similarities: positive (N,) and negatives (N, K), in [-1, 1], float64."""

    def make(num_queries: int = 5, num_negatives: int = 7) -> tuple[Tensor, Tensor]:
        both = torch.rand(num_queries, 1 + num_negatives, generator=generator, dtype=torch.float64)
        both = 2 * both - 1
        return both[:, 0].clone(), both[:, 1:].clone()

    return make


@pytest.fixture(scope="session")
def sessions() -> Callable[[list[list[str]], Path], Outcomes]:
    """Exit status and output of `pytest WORDS` in the root of the project, for each list of words.

    Records and checkpoints go to the folder given.
    """

    def outcomes(words: list[list[str]], folder: Path) -> Outcomes:
        places = [f"--{name}={folder / name}" for name in ("records", "checkpoints")]
        # The plugin of unraisable exceptions collects garbage three times, longer than a session.
        without = ["-p", "no:cacheprovider", "-p", "no:unraisableexception"]
        given = [[*each, *places, *without] for each in words]
        program = ("-m", "tests.programs.pytest_sessions")
        done = python(*program, entered=json.dumps(given), COLUMNS="80")
        return [(status, text) for status, text in json.loads(done.stdout)]

    return outcomes
