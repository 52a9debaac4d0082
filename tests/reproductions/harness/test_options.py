"""The options, which pytest and `python -m reproductions` share."""

from __future__ import annotations

import argparse
from types import SimpleNamespace
from typing import Any

import pytest

from eqco.runtime.validation import known_name, whole
from reproductions import conftest
from reproductions.__main__ import parser
from reproductions.harness.options import OF_PYTEST, OPTIONS, workers

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


def test_every_option_is_used_by_pytest_or_a_command() -> None:
    used = {name for each in commands().values() for name in options_of(each)}
    assert OPTIONS.keys() <= used | set(OF_PYTEST)
    shared = used & set(OF_PYTEST)
    assert {"scale", "seeds", "records", "checkpoints", "data"} <= shared


@pytest.mark.parametrize(("command", "name"), sorted(OWN_DEFAULTS))
def test_help_shows_the_default_of_the_command(command: str, name: str) -> None:
    made = commands()[command]
    text = " ".join(made.format_help().split())
    default = options_of(made)[name].default
    assert f"{'the committed ones' if default is None else default})" in text
    assert f"(default: {OPTIONS[name]['default']})" not in text


def test_whole_numbers_and_workers() -> None:
    assert (whole()("1"), whole(2)("12"), whole(0)("0")) == (1, 12, 0)
    assert (workers("auto"), workers("0"), workers("3")) == (None, 0, 3)
    with pytest.raises(argparse.ArgumentTypeError, match="at least 0, got '-1'"):
        workers("-1")


def test_an_unknown_name_is_an_error_with_the_nearest_ones() -> None:
    known: dict[str, Any] = {"glyphs": 1}
    parse = known_name("scale", known)
    with pytest.raises(argparse.ArgumentTypeError, match="unknown scale 'glyf': did you mean gly"):
        parse("glyf")
    known["glyf"] = 2  # a registry may grow after the options are declared
    assert parse("glyf") == "glyf"
