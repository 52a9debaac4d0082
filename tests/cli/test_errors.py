"""Whatever a command prints acts on no terminal."""

from __future__ import annotations

import sys
import warnings

import pytest

from eqco.artifacts.record import RecordError
from eqco.cli.errors import run_cli, show_fault
from eqco.runtime.signals import Stopped
from eqco.runtime.validation import TrainingError
from tests.faults.test_texts import HOSTILE, is_calm

ERRORS = [ValueError, TrainingError, RecordError, OSError, UserWarning, KeyboardInterrupt]


@pytest.mark.parametrize("kind", ERRORS, ids=lambda kind: kind.__name__)
def test_whatever_a_command_says_is_calm(
    kind: type[BaseException], capsys: pytest.CaptureFixture[str]
) -> None:
    def work() -> None:
        print(HOSTILE, file=sys.stdout)
        print(warnings.formatwarning(HOSTILE, UserWarning, "x", 1), file=sys.stderr)
        raise Stopped(2, HOSTILE) if kind is KeyboardInterrupt else kind(HOSTILE)

    assert run_cli(work) in (2, 130)
    show_fault(kind, kind(HOSTILE), None)
    printed = capsys.readouterr()
    assert is_calm(printed.out + printed.err)
    assert printed.err.count("<script>") == 3
