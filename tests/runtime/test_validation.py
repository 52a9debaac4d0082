"""Checks of names, numbers and folders: one sentence with the value and what to do."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np
import pytest

from eqco.runtime.validation import LARGEST_WHOLE, Number, shown


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


@pytest.mark.parametrize("value", [10**400, "x" * 10_000, list(range(1000))], ids=type)
def test_long_values_are_shown_in_part(value: Any) -> None:
    assert len(shown(value)) < 60


def test_minus_zero_and_zero_are_one_number() -> None:
    assert str(Number(0).check("weight_decay", -0.0)) == "0.0"
