"""Invalid values of every field of a recipe or a machine, from the tables that check them."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

from eqco.config import Machine, numbers_of
from eqco.recipe import NAMES, NUMBERS
from eqco.runtime.validation import Number

NO_NUMBER: tuple[Any, ...] = (
    "0.2",
    "256",
    "",
    True,
    [],
    {},
    math.nan,
    math.inf,
    -math.inf,
    10**400,
)
NO_NAME: tuple[Any, ...] = (None, [], ["simo"], 1, True, "", "no such name")


def invalid_numbers(number: Number) -> Iterator[Any]:
    """Values of another type, not finite, or out of the range."""
    yield from NO_NUMBER
    yield from (-math.inf, -(10**400))
    if not number.optional:
        yield None
    if number.whole:
        yield from (number.low + 0.5, float(number.low + 2), 2**63)
    yield number.low if number.open_low else number.low - 1
    if number.high < math.inf:
        yield number.high if number.open_high else number.high * 1.01
        yield 1e300


def like(name: str) -> str:
    """A name with a letter too few."""
    return name[:-1]


def invalid_of_recipe() -> dict[str, list[Any]]:
    found = {field: list(invalid_numbers(number)) for field, number in NUMBERS.items()}
    found |= {field: [*NO_NAME, *map(like, names)] for field, names in NAMES.items()}
    return found | {"data": [*NO_NAME, "glyfs", "glyphs:x", "imagenet-"]}


def invalid_of_machine() -> dict[str, list[Any]]:
    found = {field: list(invalid_numbers(number)) for field, number in numbers_of(Machine).items()}
    found |= {field: [None, [], 3, "", "  "] for field in ("data_dir", "checkpoints")}
    return found | {
        "device": [None, [], 1, "", "banana", "gpu", "CPU"],
        "compile": [None, 1, "yes"],
    }
