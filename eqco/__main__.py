"""The command line of the library: `eqco COMMAND`, see `eqco.cli`."""

from __future__ import annotations

import argparse
import os
import shlex
import sys
from collections.abc import Sequence

from eqco.cli import parse, run_command
from eqco.cli.errors import run_cli, set_up_output
from eqco.cli.options import COMMANDS
from eqco.runtime.cpu import sleep_while_waiting


def resume_command(options: argparse.Namespace) -> str:
    """The command that continues, for a shell; "" where nothing is kept or torchrun has its own."""
    if not COMMANDS[options.command].resumes or "RANK" in os.environ:
        return ""
    return shlex.join(["eqco", *options.words])


def main(arguments: Sequence[str] | None = None) -> int:
    """Parse and run; bad input ends with status 2, a signal with 128 + its number."""
    set_up_output()
    options = parse(arguments)
    sleep_while_waiting()
    return run_cli(lambda: run_command(options), resume_command(options))


if __name__ == "__main__":
    sys.exit(main())
