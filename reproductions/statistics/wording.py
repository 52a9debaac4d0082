"""How a verdict is written: its word, and points with their interval."""

from __future__ import annotations

import math

from reproductions.statistics.verdicts import STATUSES, Verdict

NOT_RUN = "not run"
SYMBOLS = dict(zip((*STATUSES, NOT_RUN), "✓✗?–", strict=True))
INTERVAL = "points [95 %]"


def points(verdict: Verdict, digits: int = 2) -> str:
    """`+0.30 [-0.10, +0.70]`; without interval for a single seed."""
    mean = f"{verdict.mean:+.{digits}f}"
    if verdict.n < 2:
        return mean
    return f"{mean} [{verdict.low:+.{digits}f}, {verdict.high:+.{digits}f}]"


def short_p(p: float) -> str:
    """A p-value in four characters: `.32`, `.007`, `8e-5`, `≈0` below 1e-9."""
    if math.isnan(p):
        return "–"
    if p < 0.00095:
        return "≈0" if p < 1e-9 else f"{p:.0e}".replace("e-0", "e-")
    return f"{p:.2f}".strip("0").rstrip(".") if p >= 0.0995 else f"{p:.3f}".removeprefix("0")


def status(verdict: Verdict | None) -> str:
    """The status; `open (InfoNCE passes too)` where it would hold but says nothing about EqCo."""
    if verdict is None:
        return NOT_RUN
    return verdict.status + " (InfoNCE passes too)" * verdict.passed_by_infonce


def word(verdict: Verdict | None) -> str:
    """`holds`, `does not hold`, `open`; `open*` where InfoNCE passes the same test."""
    if verdict is None:
        return "–"
    return verdict.status + "*" * verdict.passed_by_infonce
