"""Start of a fresh process until it is ready. Wall time."""

from __future__ import annotations

import subprocess
import sys
from functools import partial

import pytest

from benchmark import peers
from benchmark.measure import WALL_TIME, Compare, Timed

pytestmark = pytest.mark.benchmark(group="start-up")
CASES = {
    "eqco --help": ("import runpy, sys; sys.argv = ['eqco', '--help']; import eqco.__main__", ""),
    "import a loss": ("from eqco import EqCoLoss", "from lightly.loss import NTXentLoss"),
    "import a run": ("import eqco.engine.run", "import lightly.loss, lightly.transforms"),
}


def start(code: str) -> None:
    """Run a line in a fresh interpreter."""
    subprocess.run([sys.executable, "-c", code], check=True, stdout=subprocess.DEVNULL)


@pytest.mark.parametrize("name", CASES)
def test_start(compare: Compare, name: str) -> None:
    ours, theirs = CASES[name]
    wanted = theirs and peers.is_installed("lightly") and not compare.tiny
    compare(
        name,
        ours=Timed(partial(start, ours)),
        plain=None if compare.tiny else Timed(partial(start, "import torch"), rounds=2),
        limit=Timed(partial(start, "pass")),
        lightly=Timed(partial(start, theirs), rounds=2) if wanted else None,
        unit="s",
        rounds=3,
        timer=WALL_TIME,
    )
