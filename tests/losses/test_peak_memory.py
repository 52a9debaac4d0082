"""What a loss and its gradients need of memory, measured in a process of its own."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def peak(environment: dict[str, str]) -> Callable[[str], int]:
    """Bytes that a child process needs at most for the loss and gradients of a case."""

    def measured(case: str) -> int:
        done = subprocess.run(
            [sys.executable, "-m", "tests.programs.peak_memory", case],
            cwd=ROOT, env=environment, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        return int(done.stdout)

    return measured


MATRIX = 4096 * 4096 * 4  # bytes of all similarities of a batch


@pytest.mark.parametrize(("case", "part"), [("batch", 0.5), ("queue-all", 0.5), ("batch-few", 1)])
def test_no_matrix_of_all_similarities_is_held(
    case: str, part: float, peak: Callable[[str], int]
) -> None:
    """Also with a queue of 65,536 keys and 256 queries, whose matrix has the same size."""
    assert peak(case) < MATRIX * part


def test_the_queue_is_not_copied(peak: Callable[[str], int]) -> None:
    """It holds 32 MiB; the 16 keys of 256 queries are 2 MiB."""
    assert peak("queue") < 8 * 2**20


def test_the_measurement_finds_a_matrix_that_is_held(peak: Callable[[str], int]) -> None:
    assert peak("matrix") > MATRIX
