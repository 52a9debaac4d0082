"""Drawn inputs: any value ends in a result or in one sentence, of recipes, losses and options."""

# ruff: noqa: PT017 (a refusal is one of two right outcomes)

from __future__ import annotations

import argparse
import contextlib
import io
import json
from collections.abc import Callable
from dataclasses import asdict, fields
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from eqco.cli import parse
from eqco.cli import parser as eqco_parser
from eqco.losses import base
from eqco.recipe import NAMES, NUMBERS, Recipe
from reproductions.__main__ import parser
from tests.losses.test_definition import CLASSES

QUICK, LONG = 100, 3000  # examples of each property; four properties


def drawn(*strategies: st.SearchStrategy[Any]) -> Callable[..., Callable[..., None]]:
    """A property of few examples; the same of many is a test marked long."""
    many = pytest.param(LONG, marks=pytest.mark.long)

    def decorate(function: Callable[..., None]) -> Callable[..., None]:
        @pytest.mark.parametrize("examples", [QUICK, many])
        def test(examples: int) -> None:
            profile = settings(
                max_examples=examples, deadline=None, database=None,
                suppress_health_check=[HealthCheck.too_slow],
            )  # fmt: skip
            profile(given(*strategies)(function))()

        test.__doc__ = function.__doc__
        return test

    return decorate


NUMBER = st.one_of(st.integers(-3, 300), st.integers(), st.floats(), st.floats(1e-7, 10.0))
WORD = st.one_of(st.text(max_size=12), st.sampled_from(["simo", "eqco", "glyphs", "folder:", "⁲²"]))
JUNK = st.one_of(
    NUMBER, WORD, st.none(), st.booleans(), st.binary(max_size=4), st.lists(NUMBER, max_size=3),
    st.dictionaries(WORD, NUMBER, max_size=2),
)  # fmt: skip


def field_of(name: str) -> st.SearchStrategy[Any]:
    """Values of a field: mostly of its kind."""
    if name in NAMES:
        return st.one_of(st.sampled_from(sorted(NAMES[name])), JUNK)
    return st.one_of(NUMBER, JUNK) if name in NUMBERS else JUNK


def sentence_of(error: BaseException) -> str:
    """The message, after checking that it is one short line which a terminal shows."""
    text = str(error)
    assert text
    assert "\n" not in text
    assert len(text) < 600, text
    assert all(letter.isprintable() for letter in text), repr(text)
    return text


RECIPES = st.fixed_dictionaries({}, optional={f.name: field_of(f.name) for f in fields(Recipe)})


@drawn(RECIPES)
def test_a_recipe_is_made_or_refused(values: dict[str, Any]) -> None:
    """A recipe of any fields is made, and keeps its digest through JSON; or a sentence says why."""
    try:
        recipe = Recipe(**values)
    except ValueError as error:
        sentence = sentence_of(error)
        known = [f.name for f in fields(Recipe)] + ["data", "loss", "probe", "view", "image"]
        assert any(name in sentence for name in known), sentence
        return
    again = Recipe.of(json.loads(json.dumps(asdict(recipe))))
    assert again == recipe
    assert again.digest() == recipe.digest()


SIZES = st.integers(0, 12)
OF_LOSS = st.fixed_dictionaries(
    {},
    optional={
        "num_negatives": st.one_of(st.none(), SIZES, JUNK),
        "temperature": st.one_of(st.floats(1e-4, 1e6), JUNK),
        "two_sided": st.booleans(),
        "queue_size": st.one_of(SIZES, JUNK),
        "reduction": st.one_of(st.sampled_from(["mean", "sum", "none"]), WORD),
        "alpha": st.one_of(st.floats(1e-6, 1e12), JUNK),
    },
)


KINDS = st.sampled_from(sorted(CLASSES.values(), key=str))


@drawn(KINDS, OF_LOSS, SIZES, SIZES, SIZES, st.floats(-6, 6))
def test_a_loss_is_finite_or_refused(
    kind: type[base.ContrastiveLoss], options: dict[str, Any], n: int, m: int, d: int,
    size: float,
) -> None:  # fmt: skip
    """A loss of any settings and shapes is finite, with a finite gradient, or refused."""
    generator = torch.Generator().manual_seed(n + 13 * m + 169 * d)
    query = torch.randn(n, d, generator=generator) * 10**size
    query.requires_grad_()
    key = torch.randn(m, d, generator=generator)
    try:
        loss = kind(**options)(query, key)
    except TypeError as error:
        assert "unexpected keyword argument 'alpha'" in str(error)  # a loss without alpha
        return
    except ValueError as error:
        sentence_of(error)
        return
    assert torch.isfinite(loss).all()
    loss.sum().backward()
    assert torch.isfinite(query.grad).all()


def words_of(made: argparse.ArgumentParser) -> list[str]:
    """Option strings and commands of a parser and of those of its commands."""
    words = list(made._option_string_actions)
    for action in made._actions:
        if isinstance(action, argparse._SubParsersAction):
            for name, child in action.choices.items():
                words += [name, *words_of(child)]
    return words


def lines_of(known: list[str]) -> st.SearchStrategy[list[str]]:
    """Command lines of known and unknown words."""
    value = st.one_of(NUMBER.map(str), WORD)
    joined = st.tuples(st.sampled_from(known), value).map("=".join)
    return st.lists(st.one_of(st.sampled_from(known), value, joined), max_size=6)


def check_parsing(parse_line: Callable[[list[str]], Any], line: list[str]) -> None:
    """Parse: options, or the end with status 0 or 2 and a message."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            parse_line(line)
        except SystemExit as end:
            assert end.code in (0, 2)
            assert out.getvalue() if end.code == 0 else "error: " in err.getvalue()
            assert "Traceback" not in err.getvalue()


@drawn(lines_of(words_of(eqco_parser()[0])))
def test_a_command_line_of_eqco_is_parsed_or_refused(line: list[str]) -> None:
    """Any words after `eqco`."""
    check_parsing(parse, line)


@drawn(lines_of(words_of(parser())))
def test_a_command_line_of_the_tables_is_parsed_or_refused(line: list[str]) -> None:
    """Any words after `python -m reproductions`."""
    check_parsing(lambda words: parser().parse_args(words), line)
