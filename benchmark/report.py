"""The benchmark's report, at most 80 columns wide: ours, plain, limit, the best peer, each goal.

A goal compares ours with another column of its row, by the median of the ratios of the rounds;
nothing fails a run.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from benchmark.measure import LIBRARIES, Measurement

PEERS = ("kornia", "lightly", "metric-learning", "torchvision")
LINE = "{:<24}{:>8}{:>8}{:>8}{:>9}{:>7}{:>7}  {}"
HEAD = ("", "ours", "plain", "limit", "peer", "ratio", "goal", "")


@dataclass(frozen=True)
class Goal:
    """What a row should show.

    Attributes:
        name: of the row.
        against: what ours is divided by: "plain", "limit", a peer; "" where the row is a number.
        bound: of the ratio.
        direction: "≥" where the ratio says how many times faster (or smaller) ours is, "≤" where
            it says how many times ours takes.
    """

    name: str
    against: str
    bound: float
    direction: str = "≥"

    def ratio(self, row: Measurement) -> float | None:
        """The measured ratio; None where the other one was not measured."""
        if not self.against:
            return row.values["ours"]
        times = row.times.get(self.against)
        return times if times is None or self.direction == "≥" else 1 / times

    def verdict(self, row: Measurement) -> str:
        """The word "met" or "missed", or "no peer" where there is nothing to compare with."""
        ratio = self.ratio(row)
        if ratio is None:
            return "no peer"
        return "met" if (ratio >= self.bound) == (self.direction == "≥") else "missed"


METHODS = ("simo", "moco", "simclr")
GOALS = (
    # Few negatives cost little.
    Goal("N = 4096, K = 16", "plain", 10),
    Goal("N = 4096, K = 16", "lightly", 100),
    Goal("Q = 65,536, K = 16", "plain", 50),
    # All negatives cost no more than a matrix product and cross-entropy.
    Goal("N = 256, all", "plain", 1.1, "≤"),
    Goal("N = 1024, all", "plain", 1.1, "≤"),
    Goal("N = 4096, all", "plain", 1.1, "≤"),
    Goal("Q = 65,536, all", "plain", 1.1, "≤"),
    # Time grows as the number of pairs, and no faster.
    Goal("exponent in N, K = 16", "", 1.1, "≤"),
    Goal("exponent in N, all", "", 2.1, "≤"),
    # Memory: less than one N x N matrix, and blocks of the queue.
    Goal("memory N = 4096, K = 16", "limit", 1),
    Goal("memory N = 4096, all", "plain", 2),
    Goal("memory Q = 65,536, all", "plain", 10),
    # Training runs at the speed of its encoder.
    *(Goal(f"glyphs, {name}", "limit", 0.95) for name in METHODS),
    *(Goal(f"cifar10-quick, {name}", "limit", 0.90) for name in METHODS),
    *(Goal(f"step, K = {few}", "limit", 1.05, "≤") for few in ("16", "64", "all")),
    *(Goal(f"photo loop, {name}", "lightly", 6) for name in METHODS),
    # Images.
    Goal("JPEG, two crops of 224", "plain", 1.1),
    Goal("JPEG, two views of 224", "plain", 1.5),
)


def number(value: float | None) -> str:
    """Three digits, with thousands separated; "-" where there is no value."""
    if value is None:
        return "-"
    return f"{value:,.{0 if value >= 100 else 1 if value >= 10 else 2}f}"


def in_unit(row: Measurement, value: float | None) -> str:
    """A value in the unit of its row."""
    if value is not None and row.unit == "ms":
        value *= 1000
    elif value is not None and row.unit == "images/s":
        value = 1 / max(value, 1e-9)
    return number(value)


def best_peer(row: Measurement, named: str = "") -> str:
    """The peer that a goal names, or the fastest one, with its first letter."""
    if not row.peers:
        return "-"
    name = named if named in row.peers else min(row.peers, key=lambda peer: row.peers[peer])
    return f"{name[:1]} {in_unit(row, row.peers[name])}"


def row_lines(row: Measurement) -> list[str]:
    """A line for each goal of a row, or one where it has none."""
    values = [in_unit(row, row.values.get(column)) for column in ("ours", "plain", "limit")]
    lines = [
        (*values, best_peer(row, goal.against), number(goal.ratio(row)),
         f"{goal.direction} {goal.bound:g}", goal.verdict(row))
        for goal in GOALS if goal.name == row.name
    ]  # fmt: skip
    lines = lines or [(*values, best_peer(row), "", "", "")]
    return [LINE.format(row.name, *cells).rstrip() for cells in lines]


def table(rows: list[Measurement]) -> list[str]:
    """Lines of the table, by group and unit."""
    lines = [LINE.format(*HEAD).rstrip()]
    for group, unit in dict.fromkeys((row.group, row.unit) for row in rows):
        lines.append(f"-- {group}{f', {unit}' if unit else ''} ".ljust(79, "-"))
        for row in rows:
            if (row.group, row.unit) == (group, unit):
                lines += row_lines(row)
    return lines


def summary(rows: list[Measurement]) -> list[str]:
    """How many goals were met, and the letters of the peers."""
    named = {row.name: row for row in rows}
    verdicts = [goal.verdict(named[goal.name]) for goal in GOALS if goal.name in named]
    return [
        f"{verdicts.count('met')} of {len(verdicts)} goals met, {verdicts.count('missed')} missed, "
        f"{verdicts.count('no peer')} without their peer.",
        f"Peers: {', '.join(f'{name[0]} {name}' for name in PEERS)}.",
    ]


def report_rows(report: dict[str, Any]) -> list[Measurement]:
    """The rows in a JSON of pytest-benchmark."""
    infos = [case["extra_info"] for case in report["benchmarks"]]
    return [Measurement(**row) for info in infos for row in info.get("rows", [])]


def section(report: dict[str, Any]) -> str:
    """Date, machine, versions and table, in Markdown."""
    info, rows = report["benchmarks"][0]["extra_info"], report_rows(report)
    versions = ", ".join(f"{name} {info[name]}" for name in LIBRARIES)
    head = (
        f"{report['datetime'][:10]}; {info['processor']}, {info['capability']}, {info['cores']} "
        f"cores, {info['threads']} thread(s); Python {info['python']}, {versions}."
    )
    return "\n".join([head, "", "```", *table(rows), "", *summary(rows), "```"])
