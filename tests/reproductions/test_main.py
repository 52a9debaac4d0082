"""The command line `python -m reproductions`, and the options that it shares with pytest."""

from __future__ import annotations

import argparse
from pathlib import Path
from types import SimpleNamespace

import pytest

from reproductions import conftest
from reproductions.__main__ import parser
from reproductions.harness.options import OF_PYTEST, OPTIONS
from reproductions.scales import SCALES
from reproductions.tables import TABLES, table
from tests.conftest import Command
from tests.processes import python

BAD_INPUT = {
    "no command": ([], "the following arguments are required: command"),
    "unknown command": (["plans"], "invalid choice: 'plans'"),
    "unknown option": (["plan", "--sede", "1"], "unknown options: --sede 1"),
    "unknown scale": (
        ["plan", "--scale", "imagnet"], "unknown scale 'imagnet': did you mean imagenet",
    ),
    "unknown table": (
        ["plan", "--scale", "imagenet", "--tables", "99"],
        "there is no table 99: choose from " + ", ".join(map(str, TABLES)),
    ),
    "table that is no number": (["plan", "--tables", "one"], "argument --tables: must be a whole"),
    "too many seeds": (
        ["plan", "--scale", "imagenet", "--seeds", "99999999999"],
        "argument --seeds: must be a whole number from 1 to 1000, got '99999999999'",
    ),
    "no seeds of the sweep": (["sweep", "--seeds", "0"], "argument --seeds: must be a whole"),
    "unknown part of the sweep": (
        ["sweep", "--parts", "tabels"], "argument --parts: unknown part 'tabels': did you mean",
    ),
    "first seed below 0": (
        ["sweep", "--first-seed", "-1"], "argument --first-seed: must be a whole number of at",
    ),
    "sweep of photographs without any": (
        ["sweep", "--scale", "cifar10-quick"], "this scale needs --data folder:PATH",
    ),
    "empty folder": (["plan", "--records="], "argument --records: must be a path"),
    "missing throughput file": (
        ["plan", "--scale", "imagenet", "--throughput", "/none"],
        "/none is not a throughput measurement",
    ),
    "missing image tree": (
        ["plan", "--scale=cifar10-quick", "--data=folder:/nowhere"], "/nowhere does not exist",
    ),
    "data of another scale": (["plan", "--data", "folder:."], "--data goes with --scale cifar10"),
    "unknown device": (
        ["throughput", "--data=part:/x", "--device=banana"], "unknown device 'banana'",
    ),
    "no data for throughput": (["throughput"], "arguments are required: --data"),
    "batch of one image": (
        ["throughput", "--data=part:/x", "--batch-size=1"], "argument --batch-size: must be a",
    ),
    "superscript": (["plan", "--seeds", "²"], "argument --seeds: must be a whole"),
    "digit of another script": (["plan", "--seeds", "٣"], "argument --seeds: must be a whole"),
    "superscript of a device": (["sweep", "--device", "cpu:²"], "unknown device 'cpu:²'"),
    "home of nobody": (["check", "--data", "folder:~nobody-here/x"], "'~nobody-here/x'"),
    "workers below 0": (["check", "--data=folder:x", "--workers=-1"], "--workers: must be a whole"),
    "no folder to write": (["report", "--out", "/proc/nothing/x.html"], "/proc/nothing: No such"),
    "folder of the system": (["compare", "/proc/1/root", "/nowhere"], "/proc/1/root"),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD_INPUT)
def test_bad_input_is_an_error_of_one_sentence_with_status_2(
    case: str, run_reproductions: Command
) -> None:
    words, sentence = BAD_INPUT[case]
    *usage, last = run_reproductions(*words, status=2).splitlines()
    assert "error: " in last
    assert sentence in last
    assert not usage or usage[0].startswith("usage: ")


def test_the_module_ends_bad_input_without_a_traceback() -> None:
    done = python("-m", "reproductions", "plan", "--tables", "99", status=2)
    assert done.stderr.splitlines() == [
        "error: there is no table 99: choose from " + ", ".join(map(str, TABLES))
    ]


@pytest.mark.parametrize("scale", SCALES)
def test_the_command_tables_lists_scales_and_tables(
    scale: str, run_reproductions: Command, tmp_path: Path
) -> None:
    text = run_reproductions("tables", "--scale", scale, "--records", tmp_path)
    assert max(map(len, text.splitlines())) <= 80
    words = " ".join(text.split())
    for name, other in SCALES.items():
        assert f"{name} {other.below['simo'][0]}, " in words
        assert f", {other.base.num_negatives} 0 " in words
    assert f"at scale {scale}" in words
    for number in TABLES:
        listed = table(number, scale)
        assert f"{number} {listed.title} {len(listed.rows)} {len(listed.claims)}" in words


# The options, which pytest and `python -m reproductions` share.


# Commands whose default differs on purpose: --help shows it.
OWN_DEFAULTS = {
    ("sweep", "seeds"), ("throughput", "scale"), ("report", "records"), ("table", "records"),

}  # fmt: skip


def commands() -> dict[str, argparse.ArgumentParser]:
    """The parser of each command."""
    actions = parser()._actions
    (sub,) = (action for action in actions if isinstance(action, argparse._SubParsersAction))
    return dict(sub.choices)


def options_of(of: argparse.ArgumentParser) -> dict[str, argparse.Action]:
    """Options of a parser by name."""
    named = [action for action in of._actions if action.option_strings]
    return {action.option_strings[-1][2:]: action for action in named}


@pytest.fixture
def of_pytest() -> dict[str, argparse.Action]:
    """The options that `pytest reproductions` declares."""
    made = argparse.ArgumentParser()
    group = SimpleNamespace(addoption=made.add_argument)
    conftest.pytest_addoption(SimpleNamespace(getgroup=lambda *_: group))
    return options_of(made)


def test_pytest_has_every_option_but_those_of_the_plan(
    of_pytest: dict[str, argparse.Action],
) -> None:
    assert of_pytest.keys() - {"help"} == set(OF_PYTEST)
    assert set(OF_PYTEST) == OPTIONS.keys() - {"throughput", "tables", "experiment", "parts"}


@pytest.mark.parametrize("command", commands())
def test_an_option_has_one_type_and_default_everywhere(
    command: str, of_pytest: dict[str, argparse.Action]
) -> None:
    for name, action in options_of(commands()[command]).items():
        if name not in OPTIONS:
            continue
        assert action.type is OPTIONS[name].get("type"), name
        if name in of_pytest:
            assert action.type is of_pytest[name].type, name
            if (command, name) not in OWN_DEFAULTS:
                assert action.default == of_pytest[name].default, name


@pytest.mark.parametrize(("command", "name"), sorted(OWN_DEFAULTS))
def test_help_shows_the_default_of_the_command(command: str, name: str) -> None:
    made = commands()[command]
    text = " ".join(made.format_help().split())
    default = options_of(made)[name].default
    assert f"{'the committed ones' if default is None else default})" in text
    assert f"(default: {OPTIONS[name]['default']})" not in text
