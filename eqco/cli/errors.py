"""Errors of commands: user and system errors become one message; bugs keep their traceback."""

from __future__ import annotations

import os
import sys
import traceback
import warnings
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack, redirect_stderr, redirect_stdout
from pathlib import Path
from signal import SIGINT
from typing import Any

from eqco.runtime.signals import Stopped, catching
from eqco.runtime.text import SanitizedStream, escape_unencodable, plain
from eqco.runtime.validation import sentence

PACKAGES = Path(__file__).resolve().parents[2]
# Errors of the user or the system; others are bugs of this suite.
USER_ERRORS = (ValueError, RuntimeError, OSError, MemoryError, ModuleNotFoundError, Warning)
WRONG, BROKEN_PIPE = 2, 141


def formatted(
    message: Warning | str, category: type[Warning], filename: str, *line: Any, **named: Any
) -> str:
    """A warning of this suite as a sentence, without the line of code; others as ever."""
    ours = any(Path(filename).is_relative_to(PACKAGES / name) for name in ("eqco", "reproductions"))
    if ours:
        return f"warning: {plain(str(message))}\n"
    return default_format(message, category, filename, *line, **named)


default_format = warnings.formatwarning


def sanitized_streams() -> ExitStack:
    """Whatever is printed in this context has no control characters, be it of files or names."""
    streams = ExitStack()
    if sys.stdout is not None:  # None where the shell closed it
        streams.enter_context(redirect_stdout(SanitizedStream(sys.stdout)))
    if sys.stderr is not None:
        streams.enter_context(redirect_stderr(SanitizedStream(sys.stderr)))
    return streams


def show_fault(*error: Any) -> None:
    """Print the traceback of a fault of this suite, without control characters."""
    print("".join(traceback.format_exception(*error)), end="", file=SanitizedStream(sys.stderr))


def set_up_output() -> None:
    """Set up the streams and warnings of this process."""
    escape_unencodable()
    warnings.formatwarning = formatted
    sys.excepthook = show_fault


def output_is_refused() -> bool:
    """Whether stdout refuses what it holds, as on a full disk or where nobody reads it any more.

    If so, the rest of it vanishes: Python would fail once more at its end.
    """
    if sys.stdout is None:
        return False
    try:
        sys.stdout.flush()
    except (OSError, ValueError):
        with open(os.devnull, "w", encoding="utf-8") as nothing:
            os.dup2(nothing.fileno(), 1)
        return True
    return False


def failure(error: Exception) -> str:
    """The message of a user or system error, on one line."""
    if isinstance(error, ModuleNotFoundError):
        return f"error: {error.name} is not installed: pip install 'eqco[suite]'"
    return f"error: {plain(sentence(error))}"


def run_cli(
    work: Callable[[], int | None],
    command: str = "",
    signals: Callable[[], AbstractContextManager[None]] = catching,
) -> int:
    """Run a command; returns its exit status.

    Args:
        work: gives the status, or None for 0.
        command: continues the work after a signal, quoted for a shell; "" where there is none.
        signals: the context that the work needs; `nullcontext` where pytest handles them.

    Returns:
        The status of `work`; 2 with one sentence where the input is wrong or the system refuses
        something; 128 + the number of a signal; 141 where nobody reads the output any more.
    """
    set_up_output()
    with sanitized_streams():
        try:
            with signals():
                status = int(work() or 0)
                if sys.stdout is not None:
                    sys.stdout.flush()
                return status
        except Stopped as stop:
            if os.environ.get("RANK", "0") == "0":  # torchrun's other processes say the same
                print(stop.sentence(command), file=sys.stderr)
            return stop.status
        except KeyboardInterrupt:  # outside the main thread, or of other code's handler
            print(Stopped(SIGINT).sentence(command), file=sys.stderr)
            return 130
        except USER_ERRORS as error:
            output_is_refused()
            if isinstance(error, BrokenPipeError):
                return BROKEN_PIPE
            print(failure(error), file=sys.stderr)
        return WRONG
