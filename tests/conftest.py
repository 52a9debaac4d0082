"""What the tests share: one thread, a seeded generator, a machine, commands, sessions of pytest.

Nothing is downloaded, and nothing is written outside `tmp_path`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
import torchvision
from hypothesis import settings
from torch import Tensor

from eqco.__main__ import main
from eqco.config import Machine
from reproductions.__main__ import main as reproductions
from tests.chromium import browser as browser
from tests.fake_cuda import FakeCuda
from tests.processes import python
from tests.trees import write_tree

FAULTS = Path(__file__).parent / "faults"
Command = Callable[..., str]
Outcome = tuple[int, str]
Sessions = Callable[[list[list[str]], Path], list[Outcome]]


settings.register_profile("same", derandomize=True, database=None)


def pytest_configure(config: pytest.Config) -> None:
    """Draw the same examples in every run, but others each time with --long."""
    settings.load_profile("default" if config.getoption("--long") else "same")


def pytest_addoption(parser: pytest.Parser) -> None:
    """Declare --long, for `tox -e faults`."""
    parser.addoption("--long", action="store_true", help="also run tests marked long")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Mark tests of faults; skip tests marked long, unless --long is given."""
    skipped = pytest.mark.skip(reason="long: give --long, as tox -e faults does")
    for item in items:
        if item.path.parent == FAULTS:
            item.add_marker("faults")
        if item.get_closest_marker("long") and not config.getoption("--long", False):
            item.add_marker(skipped)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup() -> None:
    """Settings that commands change in this process, before each test and its fixtures.

    Sums are bit-identical from run to run only where the number of threads is; numbers below 1e-38
    are kept.
    """
    torch.set_num_threads(1)
    torch.set_flush_denormal(False)


def passed(outcome: Outcome) -> str:
    """The output of a session of pytest, after checking that it ended with status 0."""
    status, text = outcome
    assert status == 0, text
    return text


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
def sixteen_images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tree of sixteen training and eight held-out images, which no test changes."""
    return write_tree(tmp_path_factory.mktemp("sixteen") / "photos", each=4)


@pytest.fixture(scope="session")
def resnet18(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file of the weights of an untrained ResNet-18 of torchvision."""
    path = tmp_path_factory.mktemp("weights") / "resnet.pth"
    torch.manual_seed(0)
    torch.save(torchvision.models.resnet18().state_dict(), path)
    return path


def command(program: Callable[[list[str]], int], capsys: pytest.CaptureFixture[str]) -> Command:
    """Runs a program with some words to the status expected, and returns what it prints.

    Where it ends with status 2 it prints errors alone, and these are returned.
    """

    def run(*words: object, status: int = 0) -> str:
        capsys.readouterr()  # of what ran before
        try:
            ended: object = program(list(map(str, words)))
        except SystemExit as end:
            ended = end.code
        printed = capsys.readouterr()
        assert ended == status, words
        if status != 2:
            return printed.out
        assert not printed.out
        return printed.err

    return run


@pytest.fixture
def empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The test is in an empty folder: commands read and write `runs` where they are called."""
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def run_eqco(empty_folder: None, capsys: pytest.CaptureFixture[str]) -> Command:
    """`eqco WORDS` in this process, see `command`."""
    return command(main, capsys)


@pytest.fixture
def run_reproductions(empty_folder: None, capsys: pytest.CaptureFixture[str]) -> Command:
    """`python -m reproductions WORDS` in this process, see `command`."""
    return command(reproductions, capsys)


@pytest.fixture
def device() -> Iterator[FakeCuda]:
    """The mode, in which nothing may wait for the device; real tensors of a test are of the CPU."""
    with FakeCuda() as mode:
        mode.may_wait = False
        yield mode


@pytest.fixture
def views(generator: torch.Generator) -> Tensor:
    """Embeddings of two views of eight images, (2, 8, 16)."""
    return torch.randn(2, 8, 16, generator=generator)


@pytest.fixture
def similarity_case(generator: torch.Generator) -> Callable[..., tuple[Tensor, Tensor]]:
    """Makes random similarities: positive (N,) and negatives (N, K), in [-1, 1], float64."""

    def make(num_queries: int = 5, num_negatives: int = 7) -> tuple[Tensor, Tensor]:
        both = torch.rand(num_queries, 1 + num_negatives, generator=generator, dtype=torch.float64)
        both = 2 * both - 1
        return both[:, 0].clone(), both[:, 1:].clone()

    return make


@pytest.fixture(scope="session")
def sessions() -> Sessions:
    """Exit status and output of `pytest WORDS` in the root of the project, for each list of words.

    Records and checkpoints go to the folder given.
    """

    def outcomes(words: list[list[str]], folder: Path) -> list[Outcome]:
        places = [f"--{name}={folder / name}" for name in ("records", "checkpoints")]
        # The plugin of unraisable exceptions collects garbage three times, longer than a session.
        without = ["-p", "no:cacheprovider", "-p", "no:unraisableexception"]
        lines = [[*line, *places, *without] for line in words]
        program = ("-m", "tests.programs.pytest_sessions")
        done = python(*program, entered=json.dumps(lines), COLUMNS="80")
        return [(status, text) for status, text in json.loads(done.stdout)]

    return outcomes
