"""Markdown of tables and verdicts, for the pages."""

from __future__ import annotations

import math
from collections.abc import Sequence

from reproductions.statistics.verdicts import Verdict


def table(header: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    """A Markdown table."""
    rule = ["---"] * len(header)
    return "\n".join("| " + " | ".join(line) + " |" for line in [header, rule, *lines])


def short(verdict: Verdict | None) -> str:
    """`+0.30 [-0.10, +0.70] n=5, p=0.02 (Holm 0.1): **undetermined** (uncorrected: supported)`.

    Without p-values where nothing was corrected.
    """
    if verdict is None:
        return "not run"
    if verdict.n < 2:
        return f"{verdict.mean:+.2f} (n=1): {verdict.status}"
    corrected = not math.isnan(verdict.p_holm)
    p = f", p={verdict.p:.2g} (Holm {verdict.p_holm:.2g})" if corrected else ""
    return f"{points(verdict)} n={verdict.n}{p}: {told(verdict)}"


def told(verdict: Verdict) -> str:
    """`**undetermined** (uncorrected: supported)`."""
    other = f" (uncorrected: {verdict.uncorrected})"
    return f"**{verdict.status}**" + (other if verdict.status != verdict.uncorrected else "")


def points(verdict: Verdict) -> str:
    """`+0.30 [-0.10, +0.70]`."""
    return f"{verdict.mean:+.2f} [{verdict.low:+.2f}, {verdict.high:+.2f}]"
