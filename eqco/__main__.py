"""The command line of the library: `eqco COMMAND`, see `eqco.commands`."""

from __future__ import annotations

import argparse
import os
import shlex
import sys
from collections.abc import Sequence

from eqco.commands import parse
from eqco.commands.options import is_first
from eqco.runs.signals import Stopped, catching
from eqco.waiting import sleep_while_waiting


def again(given: argparse.Namespace) -> str:
    """The command that continues, for a shell; "" where nothing is kept or torchrun has its own."""
    if not given.resumes or "RANK" in os.environ:
        return ""
    return shlex.join(["eqco", *given.words])


def main(arguments: Sequence[str] | None = None) -> int:
    """Parse and run; bad input ends with status 2, a signal with 128 + its number."""
    given = parse(arguments)
    sleep_while_waiting()
    try:
        with catching():
            given.function(given)
    except ModuleNotFoundError as error:
        print(f"error: {error.name} is not installed: pip install 'eqco[suite]'", file=sys.stderr)
        return 2
    except Stopped as stop:
        if is_first():  # torchrun's other processes say the same
            print(stop.sentence(again(given)), file=sys.stderr)
        return stop.status
    except (ValueError, RuntimeError, OSError, MemoryError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        more = ": the same command continues" if given.resumes else ""
        print(f"\nstopped by Ctrl-C{more}", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
