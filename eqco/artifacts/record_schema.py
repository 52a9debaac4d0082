"""What the JSON of a record may hold: types, ranges, and no field that is not known."""

from __future__ import annotations

import base64
from collections.abc import Callable
from datetime import datetime
from functools import partial
from itertools import pairwise
from typing import Any

from eqco.runtime.validation import COUNT, Kind, Number, Table, shown

FINITE = Number(-1e300)
NOT_NEGATIVE = Number(0)
WHOLE = Number(0, whole=True)
PERCENT = Number(0, 100)
NAME = "[a-z][a-z0-9_]*"  # of a metric or a diagnostic
MACHINE: dict[str, Kind] = {
    "device": str, "device_type": str, "threads": COUNT, "workers": WHOLE, "compile": bool,
    "processes": COUNT, "cores": (COUNT, None), "python": str, "system": str,
    "versions": Table(others=str), "tf32": Table(others=bool), "commit": (str, None),
    "dirty": (bool, None),
}  # fmt: skip
DIAGNOSTICS = {"cv2": NOT_NEGATIVE, "one_minus_pi0": Number(0, 1), "rho2_cv2": NOT_NEGATIVE}
# The tables have what readers of a record rely on, or are empty.
FIELDS: dict[str, Kind] = {
    "recipe": dict,  # `Recipe` checks it
    "seed": WHOLE,
    "numerics": Number(1, 10**6, whole=True),
    "steps": WHOLE,
    "resumed": WHOLE,
    "peak_memory_mib": (NOT_NEGATIVE, None),
    **dict.fromkeys(("run_id", "note", "data_fingerprint", "checksum", "started", "ended"), str),
    "metrics": Table(others=PERCENT, names=NAME),
    "diagnostics": Table(DIAGNOSTICS, ("cv2", "one_minus_pi0"), FINITE, NAME, may_be_empty=True),
    "seconds": Table({}, ("train", "probe"), NOT_NEGATIVE, NAME, may_be_empty=True),
    "machine": Table(MACHINE, ("device", "threads", "commit"), may_be_empty=True),
    "curve": Table({"step": [NOT_NEGATIVE], "loss": [FINITE]}, ("step", "loss"), may_be_empty=True),
    "correct": Table(others=str),
}
RECORD = Table(FIELDS, needed=[name for name in FIELDS if name != "correct"])


def check_body(body: Any) -> None:
    """Raise ValueError where a record's JSON has an unknown field, or one that cannot be true."""
    RECORD.check("", body)
    steps, losses = (body["curve"].get(name, []) for name in ("step", "loss"))
    if len(steps) != len(losses):
        raise ValueError(f"the curve has {len(steps)} steps, but {len(losses)} losses")
    if any(later <= sooner for sooner, later in pairwise(steps)):
        raise ValueError("the steps of the curve do not rise")
    for name in ("started", "ended"):
        if body[name]:
            check_code(name, body[name], "a time in ISO 8601", datetime.fromisoformat)
    for name, bits in body.get("correct", {}).items():
        check_code(f"correct.{name}", bits, "base64", partial(base64.b64decode, validate=True))


def check_code(name: str, text: str, kind: str, decode: Callable[[str], object]) -> None:
    """Raise ValueError where a text cannot be decoded."""
    try:
        decode(text)
    except ValueError as error:
        raise ValueError(f"{name} must be {kind}, got {shown(text)}") from error
