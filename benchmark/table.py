"""The last table, at most 80 columns wide: ours, plain, limit, the best peer, and each goal."""

from __future__ import annotations

from collections.abc import Iterable

from benchmark.goals import GOALS, Goal
from benchmark.measure import Row

LETTERS = {"kornia": "k", "lightly": "l", "metric-learning": "m", "torchvision": "t"}
HEAD = ("", "ours", "plain", "limit", "peer", "ratio", "goal", "")
WIDTHS = (24, 8, 8, 8, 9, 7, 7)
SIGNS = {">=": "≥", "<=": "≤"}


def number(value: float) -> str:
    """Three digits, with thousands separated."""
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def shown(row: Row, value: float | None) -> str:
    """A value in the unit of its row."""
    if value is None:
        return "-"
    if row.unit == "ms":
        return number(1000 * value)
    if row.unit == "images/s":
        return number(1 / max(value, 1e-9))
    return number(value)


def best_peer(row: Row, named: str = "") -> str:
    """The peer that a goal names, or the fastest one, with its letter."""
    if not row.peers:
        return "-"
    name = named if named in row.peers else min(row.peers, key=lambda each: row.peers[each])
    return f"{LETTERS.get(name, name[:1])} {shown(row, row.peers[name])}"


def line(cells: Iterable[str]) -> str:
    """One line: the first cell to the left, numbers to the right."""
    first, *numbers, last = cells
    columns = [f"{each:>{width}}" for each, width in zip(numbers, WIDTHS[1:], strict=True)]
    return f"{first:<{WIDTHS[0]}}{''.join(columns)}  {last}".rstrip()


def lines_of(row: Row) -> list[str]:
    """A line for each goal of a row, or one where it has none."""
    goals: list[Goal | None] = [goal for goal in GOALS if goal.name == row.name]
    found = []
    for place, goal in enumerate(goals or [None]):
        others = (
            [shown(row, row.values.get(each)) for each in ("ours", "plain", "limit")]
            if place == 0
            else [""] * 3
        )
        peer = best_peer(row, goal.against if goal else "")
        ratio, bound, verdict = "", "", ""
        if goal is not None:
            measured = goal.ratio(row)
            ratio = "-" if measured is None else number(measured)
            bound = f"{SIGNS[goal.direction]} {goal.bound:g}"
            verdict = {"none": "no peer"}.get(goal.verdict(row), goal.verdict(row))
        found.append(line([row.name if place == 0 else "", *others, peer, ratio, bound, verdict]))
    return found


def table(rows: list[Row]) -> list[str]:
    """Lines of the table, by group."""
    found = [line(HEAD)]
    for group in dict.fromkeys(row.group for row in rows):
        members = [row for row in rows if row.group == group]
        for unit in dict.fromkeys(row.unit for row in members):
            found.append(f"-- {group}{f', {unit}' if unit else ''} ".ljust(79, "-"))
            for row in members:
                if row.unit == unit:
                    found += lines_of(row)
    return found


def summary(rows: list[Row]) -> str:
    """How many goals were met, and the letters of the peers."""
    named = {row.name: row for row in rows}
    verdicts = [goal.verdict(named[goal.name]) for goal in GOALS if goal.name in named]
    letters = ", ".join(f"{letter} {name}" for name, letter in LETTERS.items())
    return (
        f"{verdicts.count('met')} of {len(verdicts)} goals met, {verdicts.count('missed')} missed, "
        f"{verdicts.count('none')} without their peer.\nPeers: {letters}."
    )
