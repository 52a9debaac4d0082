"""Options of the benchmark, the fixture of its cases, and the table at its end."""

from __future__ import annotations

import os

import pytest
import torch
from pytest_benchmark.fixture import BenchmarkFixture

from benchmark import peers
from benchmark.measure import Compare, Measurement
from benchmark.report import summary, table

ROWS = pytest.StashKey[list[Measurement]]()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add --tiny, --details and --torch-threads."""
    group = parser.getgroup("benchmark of eqco")
    group.addoption("--tiny", action="store_true", help="check only that every case runs")
    group.addoption("--details", action="store_true", help="pytest-benchmark's own tables too")
    group.addoption("--torch-threads", type=int, default=1, help="threads of torch (1)")


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    """Fix the number of threads and begin an empty table."""
    config.stash[ROWS] = []
    config.option.benchmark_quiet = not config.getoption("--details", False)
    threads = config.getoption("--torch-threads", 1)
    torch.set_num_threads(threads)
    os.environ["OMP_NUM_THREADS"] = str(threads)  # of child processes


@pytest.fixture
def compare(benchmark: BenchmarkFixture, pytestconfig: pytest.Config) -> Compare:
    """Measures ours beside others; the group is the name of the file."""
    return Compare(benchmark, pytestconfig.stash[ROWS], pytestconfig.getoption("--tiny"))


@pytest.hookimpl(trylast=True)
def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print the one table."""
    rows = terminalreporter.config.stash[ROWS]
    if not rows:
        return
    terminalreporter.write_line("")
    for text in [*table(rows), "", *summary(rows), *peers.missing()]:
        terminalreporter.write_line(text)
