"""Checks of names, numbers and folders: one sentence with the value and how to fix it."""

from __future__ import annotations

import difflib
import math
import re
import reprlib
from argparse import ArgumentTypeError
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from numbers import Integral, Real
from pathlib import Path
from typing import Any, TypeAlias

from eqco.runtime.text import plain


class TrainingError(RuntimeError):
    """A run cannot continue; the message says why and what to do, without control characters."""

    def __init__(self, message: object) -> None:
        super().__init__(plain(str(message)))


LARGEST_WHOLE = 2**63 - 1  # what torch, JSON readers and files take as an integer


def shown(value: object) -> str:
    """A value as error messages show it: its repr, cut to a line."""
    if isinstance(value, int) and abs(value) > LARGEST_WHOLE:
        return f"an integer of {value.bit_length()} bits"
    return reprlib.repr(value)


def one_line(text: object) -> str:
    r"""A text that any terminal shows on one line: other characters are written as escapes.

    >>> print(one_line("caf\udce9\n.JPEG"))
    caf\udce9\n.JPEG
    """
    return "".join(char if char.isprintable() else repr(char)[1:-1] for char in str(text))


# Ends of what C, torch and CUDA say where there is too little memory.
NO_MEMORY = ("can't allocate memory", "out of memory", "Cannot allocate memory")


def lacks_memory(error: BaseException) -> bool:
    """Whether an exception says that memory is short, of whatever library it is."""
    return isinstance(error, MemoryError) or any(ending in str(error) for ending in NO_MEMORY)


def sentence(error: BaseException) -> str:
    """What an exception says: the reason and the path of an OSError, the name where it has no text.

    >>> sentence(FileNotFoundError(2, "No such file or directory", "a.csv"))
    'a.csv: No such file or directory'
    """
    if isinstance(error, OSError) and error.strerror:
        return ": ".join(one_line(part) for part in (error.filename, error.strerror) if part)
    if lacks_memory(error):
        asked = re.search(r"(?:allocate|allocate:) ([\d.]+ (?:bytes|[KMGT]iB))", str(error))
        why = f"torch asked for {asked[1]}" if asked else first_line(error) if str(error) else ""
        return f"out of memory: {why}".rstrip(": ")
    return str(error).strip() or type(error).__name__


def first_line(error: BaseException) -> str:
    """What an exception says, on one line; torch's messages have many."""
    text = str(error).strip().partition("\n")[0].partition(". ")[0]
    return text or type(error).__name__


@dataclass(frozen=True)
class Number:
    """The values that a number may have.

    Attributes:
        low, high: its range; `high` infinite where there is no upper limit.
        whole: an integer; 64.0 and "64" are not.
        open_low, open_high: the limit itself is excluded.
        optional: None is allowed.
    """

    low: float
    high: float = math.inf
    whole: bool = False
    open_low: bool = False
    open_high: bool = False
    optional: bool = False

    def __str__(self) -> str:
        if self.whole and self.high < math.inf:
            return f"be a whole number from {self.low:.0f} to {self.high:.0f}"
        if self.high < math.inf:
            left, right = "(" if self.open_low else "[", ")" if self.open_high else "]"
            return f"lie in {left}{self.low:g}, {self.high:g}{right}"
        kind = "be a whole number of" if self.whole else "be finite and"
        return f"{kind} {'above' if self.open_low else 'at least'} {self.low:g}"

    def holds(self, value: Any) -> bool:
        """Whether a value has the right type, is finite and lies in the range."""
        if isinstance(value, bool) or not isinstance(value, Integral if self.whole else Real):
            return False
        try:
            number = float(value)
        except OverflowError:
            return False
        above = number > self.low if self.open_low else number >= self.low
        below = number < self.high if self.open_high else number <= self.high
        return math.isfinite(number) and abs(number) <= 1e300 and above and below

    def check(self, name: str, value: Any) -> Any:
        """The value as int or float, so that equal numbers are written alike.

        Raises:
            ValueError: the type or the value is not allowed.
        """
        if value is None and self.optional:
            return None
        if not self.holds(value) or (self.whole and abs(value) > LARGEST_WHOLE):
            raise ValueError(f"{name} must {self}, got {shown(value)}")
        return int(value) if self.whole else float(value) + 0.0  # -0.0 is 0.0


POSITIVE = Number(0, open_low=True)
COUNT = Number(1, 2**31, whole=True)
SEED = Number(0, whole=True)
NEGATIVES = Number(1, whole=True)
HARDNESS = Number(0, 100)
SOG_GAMMA = Number(0, 1, open_low=True)
TEMPERATURE = Number(1e-30, 1e30)  # cosines over it stay in the range of float32


def argument(number: Number) -> Callable[[str], Any]:
    """An argparse type: a number in a range, else an error of one sentence."""

    def parse(text: str) -> Any:
        try:
            kind = int if number.whole else float
            return number.check("it", kind(text) if text.isascii() else text)
        except ValueError as error:
            raise ArgumentTypeError(f"must {number}, got {shown(text)}") from error

    return parse


def whole(least: int = 1, most: float = math.inf) -> Callable[[str], int]:
    """An argparse type: a whole number in a range."""
    return argument(Number(least, most, whole=True))


def positive_finite(name: str, value: float) -> float:
    """Return `value`, or raise ValueError where it is not a finite number above zero."""
    return float(POSITIVE.check(name, value))


def check_temperature(value: float, name: str = "temperature") -> float:
    """Return a softmax temperature, or raise ValueError where cosines over it leave float32."""
    return float(TEMPERATURE.check(name, positive_finite(name, value)))


def check_negatives(value: int) -> int:
    """Return K, the number of negatives, or raise ValueError where it is below 1."""
    return int(NEGATIVES.check("num_negatives", value))


def nearest(kind: str, name: object, known: Iterable[str]) -> str:
    """One sentence for an unknown name, with the known names like it, or all where none is."""
    names = list(known)
    close = difflib.get_close_matches(str(name), names)
    hint = f"did you mean {' or '.join(close)}?" if close else f"known are {', '.join(names)}"
    return f"unknown {kind} {shown(name)}: {hint}"


def check_name(kind: str, name: object, known: Iterable[str]) -> None:
    """Raise ValueError with the nearest names where `name` is not known."""
    names = list(known)
    if not isinstance(name, str) or name not in names:
        raise ValueError(nearest(kind, name, names))


def known_name(kind: str, known: Collection[str]) -> Callable[[str], str]:
    """An argparse type: a known name, else an error with the nearest names.

    `known` is read at each call, so a registry may grow after import.
    """

    def parse(text: str) -> str:
        try:
            check_name(kind, text, known)
        except ValueError as error:
            raise ArgumentTypeError(str(error)) from error
        return text

    return parse


Kind: TypeAlias = Any  # a type, a Number, a Table, [Kind] for a list, (Kind, None) for null too
KINDS = {
    str: "a text", bool: "true or false", int: "a whole number", dict: "a table", list: "a list",
}  # fmt: skip


@dataclass(frozen=True)
class Table:
    """What a table of JSON, or of a checkpoint, may hold.

    Attributes:
        fields: kinds by name.
        needed: names that it must have.
        others: kind of the fields with other names; None where there may be none.
        names: what these names look like, a regular expression.
        may_be_empty: whether an empty one needs nothing.
    """

    fields: Mapping[str, Kind] = field(default_factory=dict)
    needed: Collection[str] = ()
    others: Kind = None
    names: str = ".*"
    may_be_empty: bool = False

    def check(self, name: str, value: Any) -> None:
        """Raise ValueError where a value is no such table; `name` is "" for the outermost one."""
        check_kind(name or "it", value, dict)
        for key in self.needed:
            if key not in value and (value or not self.may_be_empty):
                raise ValueError(f"{name or 'it'} lacks the field {key}")
        for key, inner in value.items():
            if self.others is None:
                check_name(f"field of {name}" if name else "field", key, self.fields)
            elif not re.fullmatch(self.names, key, re.DOTALL):
                raise ValueError(f"{name or 'it'} has a field named {shown(key)}")
            check_kind(f"{name}.{key}" if name else key, inner, self.fields.get(key, self.others))


def check_kind(name: str, value: Any, kind: Kind) -> None:
    """Raise ValueError where a value is not of a kind."""
    if isinstance(kind, Number | Table):
        kind.check(name, value)
    elif isinstance(kind, tuple):
        if value is not None:
            check_kind(name, value, kind[0])
    elif isinstance(kind, list):
        check_kind(name, value, list)
        for inner in value:
            check_kind(name, inner, kind[0])
    elif not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
        raise ValueError(f"{name} must be {KINDS[kind]}, got {shown(value)}")


def home_expanded(text: str | Path) -> Path:
    """A path whose leading `~` is the home folder.

    A shell leaves `~` behind `=` as it is, in `--records=~/x`.

    Raises:
        ValueError: there is no user of `~NAME`, or the path contains a zero byte.
    """
    if "\0" in str(text):
        raise ValueError(f"{shown(str(text))} is not a path: it contains a zero byte")
    try:
        return Path(text).expanduser()
    except RuntimeError as error:
        raise ValueError(
            f"{shown(str(text))}: no such user; write ./~NAME for a folder of that name"
        ) from error


def path_argument(text: str) -> Path:
    """An argparse type: a path; `~` is the home folder, `~NAME` that of a user.

    Raises:
        ArgumentTypeError: the text is empty, or see `home_expanded`.
    """
    if not text.strip():
        raise ArgumentTypeError("must be a path, got ''")
    try:
        return home_expanded(text)
    except ValueError as error:
        raise ArgumentTypeError(str(error)) from error


def check_folder(name: str, value: object) -> Path:
    """A folder's path, or ValueError where the text is empty or no path.

    Path("") is the current folder, which nobody who leaves a field empty means.
    """
    if not isinstance(value, str | Path) or not str(value).strip() or "\0" in str(value):
        raise ValueError(f"{name} must be the path of a folder, got {shown(value)}")
    return home_expanded(value)
