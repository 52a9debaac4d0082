"""Checks of names, numbers and folders: one sentence with the value and what to do."""

from __future__ import annotations

import math
from argparse import ArgumentTypeError
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from eqco.runtime.validation import (
    COUNT,
    LARGEST_WHOLE,
    Number,
    argument,
    check_folder,
    check_name,
    nearest,
    positive_finite,
    shown,
)


@pytest.mark.parametrize("name", ["glyph", "cifar", "smok"])
def test_an_unknown_name_is_answered_with_the_nearest_names(name: str) -> None:
    known = ("smoke", "glyphs", "cifar10", "imagenet")
    right = next(each for each in known if each.startswith(name))
    with pytest.raises(ValueError, match=f"unknown scale '{name}': did you mean {right}"):
        check_name("scale", name, known)


def test_a_name_like_none_is_answered_with_all_names() -> None:
    assert nearest("loss", "zzz", ("infonce", "eqco")).endswith("did you mean infonce or eqco?")


def test_a_known_name_passes() -> None:
    check_name("scale", "glyphs", ["smoke", "glyphs"])


@pytest.mark.parametrize("name", [None, [], 3, True, ("glyphs",)], ids=repr)
def test_a_name_that_is_no_text_is_unknown(name: Any) -> None:
    with pytest.raises(ValueError, match="unknown scale"):
        check_name("scale", name, ["smoke", "glyphs"])


@pytest.mark.parametrize(
    "value", [0.0, -1.0, math.nan, math.inf, "1", None, True, 10**400], ids=shown
)
def test_a_number_that_is_not_positive_and_finite_is_named(value: Any) -> None:
    with pytest.raises(ValueError, match=r"^width must be finite and above 0, got "):
        positive_finite("width", value)


def test_equal_numbers_become_equal_and_of_one_type() -> None:
    for value in (2, 2.0, np.float64(2), np.int64(2), Fraction(2)):
        found = Number(0).check("width", value)
        assert (found, type(found)) == (2.0, float)
    for value in (2, np.int64(2)):
        found = Number(0, whole=True).check("count", value)
        assert (found, type(found)) == (2, int)


@pytest.mark.parametrize(
    ("number", "allowed", "refused"),
    [
        (Number(0), [0, 1e300], [-1e-300, 1.1e300]),
        (Number(0, open_low=True), [1e-300], [0, -1]),
        (Number(0, 1), [0, 1], [-0.1, 1.1]),
        (Number(0, 1, open_high=True), [0, 0.999], [1.0]),
        (Number(0, 1, open_low=True), [1.0], [0.0]),
        (Number(1, whole=True), [1, LARGEST_WHOLE], [0, 1.0, LARGEST_WHOLE + 1]),
        (Number(0, optional=True), [None, 0], [-1, ""]),
        (Number(0), [0], [None]),
    ],
    ids=str,
)
def test_the_limits_of_a_range(number: Number, allowed: list[Any], refused: list[Any]) -> None:
    for value in allowed:
        assert number.check("it", value) == value
    for value in refused:
        with pytest.raises(ValueError, match=r"^it must "):
            number.check("it", value)


def test_a_range_is_said_in_words() -> None:
    assert str(Number(0, 1, open_low=True)) == "lie in (0, 1]"
    assert str(Number(0, 1, open_high=True)) == "lie in [0, 1)"
    assert str(Number(0, open_low=True)) == "be finite and above 0"
    assert str(Number(1, whole=True)) == "be a whole number of at least 1"


@pytest.mark.parametrize("value", [10**400, "x" * 10_000, list(range(1000))], ids=type)
def test_long_values_are_shown_in_part(value: Any) -> None:
    assert len(shown(value)) < 60


def test_a_folder_is_a_path(tmp_path: Path) -> None:
    assert check_folder("records", tmp_path) == tmp_path
    assert check_folder("records", str(tmp_path)) == tmp_path


@pytest.mark.parametrize("value", ["", "  ", None, 3, [], b"here"], ids=repr)
def test_a_folder_that_is_no_path_is_named(value: Any) -> None:
    with pytest.raises(ValueError, match=r"^records must be the path of a folder, got"):
        check_folder("records", value)


def test_minus_zero_and_zero_are_one_number() -> None:
    assert str(Number(0).check("weight_decay", -0.0)) == "0.0"


@pytest.mark.parametrize("text", ["0", "-3", "1.5", "nan", "²", "", "3e9"])
def test_an_argument_outside_its_range_is_an_error_of_one_sentence(text: str) -> None:
    with pytest.raises(ArgumentTypeError, match=r"^must be a whole number from 1 to"):
        argument(COUNT)(text)
    assert argument(COUNT)("16") == 16
