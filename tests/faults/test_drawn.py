"""Drawn inputs: any value ends in a result or in one sentence; what a sentence promises is so."""

from __future__ import annotations

import argparse
import ast
import contextlib
import io
import json
import os
import re
from collections.abc import Callable
from dataclasses import asdict, fields, replace
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from eqco.artifacts.run_files import Run
from eqco.cli import parse
from eqco.cli import parser as eqco_parser
from eqco.cli import parser as parser_of_eqco
from eqco.config import Machine
from eqco.data import open_images
from eqco.engine.pretrain import Pretraining
from eqco.losses import base
from eqco.recipe import NAMES, NUMBERS, Recipe
from eqco.runtime.validation import TrainingError
from reproductions.__main__ import parser
from reproductions.__main__ import parser as parser_of_reproductions
from reproductions.harness.options import OF_PYTEST
from tests.faults.damage import RECIPE
from tests.losses.test_definition import CLASSES
from tests.processes import ROOT, python

# ruff: noqa: PT017 (a refusal is one of two right outcomes)


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


# Kind 11: what a sentence promises or advises is there.

# Options of pytest, torchrun, pip, git, squeue and our pytest plugins that sentences may name.
OTHERS = {"--nproc-per-node", "--standalone", "--collect-only", "--format", "--help"}


def sentences() -> dict[str, str]:
    """Every text in a `raise`, by the text; with the file and line that has it."""
    places = {}
    for package in ("eqco", "reproductions"):
        for file in (ROOT / package).rglob("*.py"):
            for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
                if isinstance(node, ast.Raise) and node.exc is not None:
                    parts = [part for part in ast.walk(node.exc) if isinstance(part, ast.Constant)]
                    texts = [part.value for part in parts if isinstance(part.value, str)]
                    places[" ".join(texts)] = f"{file.relative_to(ROOT)}:{node.lineno}"
    return places


def test_every_option_that_an_error_names_exists() -> None:
    known = {*words_of(parser_of_eqco()[0]), *words_of(parser_of_reproductions())}
    known |= {f"--{name}" for name in OF_PYTEST} | OTHERS
    named = {
        (option, place)
        for text, place in sentences().items()
        for option in re.findall(r"--[a-z][a-z-]*[a-z]", text)
    }
    assert len(named) > 20
    assert {option for option in named if option[0] not in known} == set()


@pytest.mark.parametrize("has_checkpoint", [False, True])
def test_a_diverged_run_tells_the_truth_about_its_checkpoint(
    has_checkpoint: bool, tmp_path: Path
) -> None:
    machine = Machine(threads=1, checkpoints=tmp_path)
    work = Pretraining(Run(RECIPE, 0, machine), open_images(RECIPE, 0, machine))
    path = Run(RECIPE, 0, machine).checkpoint
    if has_checkpoint:
        path.write_bytes(b"")
    text = str(work.diverged("the loss is nan", 3))
    assert ("it has no checkpoint" in text) != has_checkpoint
    assert (str(path) in text) == has_checkpoint
    assert "--learning-rate" in text
    assert "--learning-rate" in words_of(parser_of_eqco()[0])


def test_a_batch_that_is_too_large_names_the_size_that_fits(tmp_path: Path) -> None:
    machine = Machine(threads=1, checkpoints=tmp_path)
    images = open_images(RECIPE, 0, machine)
    large = replace(RECIPE, batch_size=2**20, num_negatives=1)
    with pytest.raises(TrainingError, match=f"batch_size is {images.shuffle.total} at most"):
        Pretraining(Run(large, 0, machine), images)
    Pretraining(Run(replace(RECIPE, batch_size=images.shuffle.total), 0, machine), images)


PLUGIN = """
def pytest_addoption(parser):
    group = parser.getgroup("playwright")
    group.addoption("--device", default=None, action="store", help="of a browser")
    group.addoption("--seeds", default="other", help="of a shuffler")
"""


def test_options_of_another_plugin_do_not_end_a_session(tmp_path: Path) -> None:
    (tmp_path / "browser.py").write_text(PLUGIN)
    common = ["-p", "browser", "reproductions", "--scale=smoke", "-p", "no:cacheprovider"]
    sessions = [
        [*common, "--eqco-device=banana", "--device=iPhone"],
        [*common, "--device=iPhone", "--eqco-seeds=2", "--collect-only", "-v"],
    ]
    path = os.pathsep.join([str(tmp_path), str(ROOT)])
    done = python(
        "-m", "tests.programs.pytest_sessions", entered=json.dumps(sessions), PYTHONPATH=path
    )
    (wrong, text), (right, output) = json.loads(done.stdout)
    assert (wrong, right) == (4, 0)
    assert "banana" in text + done.stderr  # our option is read, and not the other plugin's
    assert "Traceback" not in text + done.stderr
    assert "--device is another plugin's here: the tables take --eqco-device" in output
