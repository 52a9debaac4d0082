"""How a verdict is written: words, points with their interval, p-values."""

from __future__ import annotations

import math
from collections.abc import Iterable

from reproductions.statistics.verdicts import STATUSES, UNDETERMINED, Verdict

NOT_RUN = "not run"
SYMBOLS = dict(zip((*STATUSES, UNDETERMINED, NOT_RUN), "✓✗≈?–", strict=True))
MARKS = dict(zip(STATUSES, "¹²³", strict=True))  # of a status that Holm's correction took away
INTERVAL = "points [90 %]"


def points(verdict: Verdict, digits: int = 2) -> str:
    """`+0.30 [-0.10, +0.70]`; without interval for a single seed."""
    mean = f"{verdict.mean:+.{digits}f}"
    if verdict.n < 2:
        return mean
    return f"{mean} [{verdict.low:+.{digits}f}, {verdict.high:+.{digits}f}]"


def is_corrected(verdict: Verdict) -> bool:
    """Whether Holm's correction changed the status."""
    return verdict.status != verdict.uncorrected


def status(verdict: Verdict | None) -> str:
    """`undetermined (uncorrected: supported)`."""
    if verdict is None:
        return NOT_RUN
    other = f" (uncorrected: {verdict.uncorrected})" if is_corrected(verdict) else ""
    return f"{verdict.status}{other}"


def marked(verdict: Verdict | None) -> str:
    """The status, marked where it differs from the uncorrected one: `undetermined¹`."""
    if verdict is None:
        return "–"
    return verdict.status + (MARKS[verdict.uncorrected] if is_corrected(verdict) else "")


def footnote(verdicts: Iterable[Verdict]) -> str:
    """`¹ supported without Holm's correction`: what the marks of some verdicts mean."""
    changed = {verdict.uncorrected for verdict in verdicts if is_corrected(verdict)}
    meant = ", ".join(f"{mark} {status}" for status, mark in MARKS.items() if status in changed)
    return f"{meant} without Holm's correction" if meant else ""


def short_p(p: float) -> str:
    """A p-value in four characters: `.32`, `.007`, `8e-5`, `≈0` below 1e-9."""
    if math.isnan(p):
        return "–"
    if p < 0.00095:
        return "≈0" if p < 1e-9 else f"{p:.0e}".replace("e-0", "e-")
    return f"{p:.2f}".strip("0").rstrip(".") if p >= 0.0995 else f"{p:.3f}".removeprefix("0")


def short(verdict: Verdict | None) -> str:
    """`+0.30 [-0.10, +0.70] n=5, p=0.02 (Holm 0.1): **undetermined** (uncorrected: supported)`.

    In Markdown; without p-values where nothing was corrected.
    """
    if verdict is None:
        return NOT_RUN
    if verdict.n < 2:
        return f"{points(verdict)} (n=1): {verdict.status}"
    corrected = not math.isnan(verdict.p_holm)
    p = f", p={verdict.p:.2g} (Holm {verdict.p_holm:.2g})" if corrected else ""
    other = f" (uncorrected: {verdict.uncorrected})" if is_corrected(verdict) else ""
    return f"{points(verdict)} n={verdict.n}{p}: **{verdict.status}**{other}"
