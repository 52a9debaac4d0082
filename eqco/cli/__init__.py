"""The commands of `eqco`: a file each, which is imported when its command runs."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import NoReturn

from eqco import __version__
from eqco.cli.options import COMMANDS, JSON, Help
from eqco.runtime.memory import check_memory
from eqco.runtime.text import plain
from eqco.runtime.validation import nearest

EPILOG = """exit status:
  0    done
  1    redo: a number differs
  2    wrong input, or it cannot be done; one sentence on stderr says why
  130  stopped by Ctrl-C, 143 by SIGTERM, 129 by SIGHUP; train, redo and run save the step first,
       and the same command continues

eqco COMMAND --help has an example of each command."""


class Parser(argparse.ArgumentParser):
    """A parser whose errors name the nearest command or option."""

    def error(self, message: str) -> NoReturn:
        """Print one sentence and exit with status 2."""
        self.exit(2, f"error: {plain(message)} ({self.prog} --help)\n")

    def check_options(self, words: Sequence[str]) -> None:
        """End with the nearest option where one is unknown; before argparse misses others."""
        for word in words:
            name = word.partition("=")[0]
            if name.startswith("--") and name not in self._option_string_actions:
                self.error(nearest("option", name, self._option_string_actions))


def parser() -> tuple[Parser, dict[str, Parser]]:
    """The parser, and those of the commands."""
    top = Parser(
        prog="eqco", description="Encoders by EqCo: train, probe, diagnose, export.",
        epilog=EPILOG, formatter_class=Help, allow_abbrev=False,
    )  # fmt: skip
    top.add_argument("--version", action="version", version=__version__)
    commands = top.add_subparsers(
        required=True, dest="command", metavar="command", parser_class=Parser
    )
    for name, command in COMMANDS.items():
        made = commands.add_parser(
            name, help=command.text, description=f"{command.text[0].upper()}{command.text[1:]}.",
            epilog=f"example:\n  {command.example}", formatter_class=Help, allow_abbrev=False,
        )  # fmt: skip
        for option, settings in command.options.items():
            made.add_argument(option, **settings)
        if command.json:
            made.add_argument("--json", **JSON)
    return top, dict(commands.choices)


def parse(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """The options of a command; wrong ones end the program with a sentence and status 2."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    top, commands = parser()
    if words and not words[0].startswith("-") and words[0] not in commands:
        top.error(nearest("command", words[0], commands))
    if words:
        commands.get(words[0], top).check_options(words)
    return top.parse_args(words, argparse.Namespace(words=words))


OUTPUTS = ("out", "picture")  # options that name files to write


def check_output(options: argparse.Namespace, *more: Path) -> None:
    """Raise ValueError where a file to write is one that the command reads.

    All paths among the options but OUTPUTS count as read, and `more`.
    """
    paths = {name: value for name, value in vars(options).items() if isinstance(value, Path)}
    inputs = [*more, *(path for name, path in paths.items() if name not in OUTPUTS)]
    for name in OUTPUTS:
        if name in paths:
            from eqco.runtime.files import check_apart  # doctor works without its libraries

            check_apart(paths[name], inputs)


def run_command(options: argparse.Namespace) -> None:
    """Do a command; only here its module, and torch, are loaded."""
    check_memory()
    check_output(options)
    import_module(f"eqco.cli.{options.command}").main(options)
