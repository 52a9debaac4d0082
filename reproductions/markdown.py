"""Markdown of tables and verdicts, for the pages."""

from __future__ import annotations

from collections.abc import Sequence

from reproductions.judge import Verdict


def table(header: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    """A Markdown table."""
    rule = ["---"] * len(header)
    return "\n".join("| " + " | ".join(line) + " |" for line in [header, rule, *lines])


def short(verdict: Verdict | None) -> str:
    """`+0.3 [-0.1, +0.7] n=5: supported`."""
    if verdict is None:
        return "not run"
    if verdict.n < 2:
        return f"{verdict.mean:+.2f} (n=1): undetermined"
    return f"{points(verdict)} n={verdict.n}: **{verdict.status}**"


def points(verdict: Verdict) -> str:
    """`+0.30 [-0.10, +0.70]`."""
    return f"{verdict.mean:+.2f} [{verdict.low:+.2f}, {verdict.high:+.2f}]"
