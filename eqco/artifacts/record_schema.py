"""What the JSON of a record may hold: types, ranges, and no field that is not known."""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from itertools import pairwise
from typing import Any

from eqco.runtime.validation import COUNT, Number, check_name, shown

FINITE = Number(-1e300)
NOT_NEGATIVE = Number(0)
WHOLE = Number(0, whole=True)
SHARE = Number(0, 1)
PERCENT = Number(0, 100)
OPTIONAL_COUNT = Number(1, 2**31, whole=True, optional=True)
NAME = re.compile(r"[a-z][a-z0-9_]*")  # of a metric or a diagnostic

# Keys that readers of a record rely on, by the table that holds them; a table may be empty.
NEEDED: dict[str, tuple[str, ...]] = {
    "metrics": (),
    "diagnostics": ("cv2", "one_minus_pi0"),
    "seconds": ("train", "probe"),
    "machine": ("device", "threads", "commit"),
    "curve": ("step", "loss"),
}
DIAGNOSTICS = {"one_minus_pi0": SHARE, "cv2": NOT_NEGATIVE, "rho2_cv2": NOT_NEGATIVE}
NUMBERS = {
    "seed": WHOLE,
    "numerics": Number(1, 10**6, whole=True),
    "steps": WHOLE,
    "resumed": WHOLE,
    "peak_memory_mib": Number(0, optional=True),
}
TEXTS = ("run_id", "note", "data_fingerprint", "checksum")
TIMES = ("started", "ended")
FIELDS = ("recipe", *NEEDED, *NUMBERS, *TEXTS, *TIMES, "correct")


def text(name: str, value: Any) -> None:
    """Raise ValueError where a value is no text."""
    if not isinstance(value, str):
        raise ValueError(f"{name} must be a text, got {shown(value)}")


def truth(name: str, value: Any) -> None:
    """Raise ValueError where a value is neither true nor false."""
    if not isinstance(value, bool):
        raise ValueError(f"{name} must be true or false, got {shown(value)}")


def unknown_or(check: Callable[[str, Any], object]) -> Callable[[str, Any], object]:
    """A check that lets null pass: the machine did not tell."""
    return lambda name, value: None if value is None else check(name, value)


def texts(name: str, value: Any) -> None:
    """Raise ValueError where a value is no table of texts."""
    for key, inner in table(name, value).items():
        text(f"{name}.{key}", inner)


def bits(name: str, value: Any) -> None:
    """Raise ValueError where a value is no table of base64 texts, by metric."""
    for key, inner in table(name, value).items():
        text(f"{name}.{key}", inner)
        try:
            base64.b64decode(inner, validate=True)
        except ValueError as error:
            raise ValueError(f"{name}.{key} is no base64: {shown(inner)}") from error


MACHINE: dict[str, Callable[[str, Any], object]] = {
    "device": text,
    "device_type": text,
    "threads": COUNT.check,
    "workers": WHOLE.check,
    "compile": truth,
    "processes": COUNT.check,
    "cores": OPTIONAL_COUNT.check,
    "python": text,
    "system": text,
    "versions": texts,
    "commit": unknown_or(text),
    "dirty": unknown_or(truth),
}


def table(name: str, value: Any, keys: Iterable[str] = ()) -> Mapping[str, Any]:
    """A table that has these keys, or is empty; else ValueError."""
    if not isinstance(value, dict):
        raise ValueError(f"{name} must be a table, got {shown(value)}")
    for key in keys:
        if value and key not in value:
            raise ValueError(f"{name} lacks {key}")
    return value


def check_numbers(name: str, value: Mapping[str, Any], ranges: Mapping[str, Number]) -> None:
    """Raise ValueError where a number is out of its range, or its name is no name."""
    for key, number in value.items():
        if not NAME.fullmatch(key):
            raise ValueError(f"{name} has a number named {shown(key)}")
        ranges.get(key, FINITE).check(f"{name}.{key}", number)


def check_curve(curve: Mapping[str, Any]) -> None:
    """Raise ValueError where a loss curve is not one finite loss for each of rising steps."""
    if not curve:
        return
    for name in curve:
        check_name("part of curve", name, NEEDED["curve"])
        if not isinstance(curve[name], list):
            raise ValueError(f"curve.{name} must be a list, got {shown(curve[name])}")
    at, losses = curve["step"], curve["loss"]
    if len(at) != len(losses):
        raise ValueError(f"the curve has {len(at)} steps, but {len(losses)} losses")
    for step, loss in zip(at, losses, strict=True):
        NOT_NEGATIVE.check("curve.step", step)
        FINITE.check("curve.loss", loss)
    if any(later <= sooner for sooner, later in pairwise(at)):
        raise ValueError("the steps of the curve do not rise")


def check_time(name: str, value: Any) -> None:
    """Raise ValueError where a value is no ISO 8601 time, nor empty."""
    text(name, value)
    try:
        if value:
            datetime.fromisoformat(value)
    except ValueError as error:
        raise ValueError(f"{name} must be a time in ISO 8601, got {shown(value)}") from error


def check_machine(machine: Mapping[str, Any]) -> None:
    """Raise ValueError where a field of a record's machine is unknown or has the wrong type."""
    for name, value in machine.items():
        check_name("field of machine", name, MACHINE)
        MACHINE[name](f"machine.{name}", value)


def check_body(body: Mapping[str, Any]) -> None:
    """Raise ValueError where a record's JSON has an unknown field, or one that cannot be true.

    The recipe is checked by `Recipe` itself.
    """
    for name in body:
        check_name("record field", name, FIELDS)
    tables = {name: table(name, body.get(name), keys) for name, keys in NEEDED.items()}
    for name, number in NUMBERS.items():
        number.check(name, body.get(name))
    for name in TEXTS:
        text(name, body.get(name))
    for name in TIMES:
        check_time(name, body.get(name))
    check_numbers("metrics", tables["metrics"], dict.fromkeys(tables["metrics"], PERCENT))
    check_numbers("diagnostics", tables["diagnostics"], DIAGNOSTICS)
    check_numbers("seconds", tables["seconds"], dict.fromkeys(tables["seconds"], NOT_NEGATIVE))
    bits("correct", body.get("correct", {}))
    check_machine(tables["machine"])
    check_curve(tables["curve"])
