"""The goals, as data. What is measured is named by the rows of the cases; nothing here fails a run.

A goal compares ours with another column of its row, by the median of the ratios of the rounds.
"""

from __future__ import annotations

from dataclasses import dataclass

from benchmark.measure import Row


@dataclass(frozen=True)
class Goal:
    """What a row should show.

    Attributes:
        name: of the row.
        against: what ours is divided by: "plain", "limit", a peer; "" where the row is a number.
        bound: of the ratio.
        direction: ">=" where the ratio says how many times faster (or smaller) ours is, "<=" where
            it says how many times ours takes.
    """

    name: str
    against: str
    bound: float
    direction: str = ">="

    def ratio(self, row: Row) -> float | None:
        """The measured ratio; None where the other one was not measured."""
        if not self.against:
            return row.values["ours"]
        times = row.times.get(self.against)
        if times is None or self.direction == ">=":
            return times
        return 1 / times

    def verdict(self, row: Row) -> str:
        """The word "met" or "missed", or "none" where there is nothing to compare with."""
        ratio = self.ratio(row)
        if ratio is None:
            return "none"
        return "met" if (ratio >= self.bound) == (self.direction == ">=") else "missed"


METHODS = ("simo", "moco", "simclr")
GOALS = (
    # Few negatives cost little.
    Goal("N = 4096, K = 16", "plain", 10),
    Goal("N = 4096, K = 16", "lightly", 100),
    Goal("Q = 65,536, K = 16", "plain", 50),
    # All negatives cost no more than a matrix product and cross-entropy.
    Goal("N = 256, all", "plain", 1.1, "<="),
    Goal("N = 1024, all", "plain", 1.1, "<="),
    Goal("N = 4096, all", "plain", 1.1, "<="),
    Goal("Q = 65,536, all", "plain", 1.1, "<="),
    # Time grows as the number of pairs, and no faster.
    Goal("exponent in N, K = 16", "", 1.1, "<="),
    Goal("exponent in N, all", "", 2.1, "<="),
    # Memory: less than one N x N matrix, and blocks of the queue.
    Goal("memory N = 4096, K = 16", "limit", 1),
    Goal("memory N = 4096, all", "plain", 2),
    Goal("memory Q = 65,536, all", "plain", 10),
    # Training runs at the speed of its encoder.
    *(Goal(f"glyphs, {name}", "limit", 0.95) for name in METHODS),
    *(Goal(f"photos, {name}", "limit", 0.90) for name in METHODS),
    *(Goal(f"step, K = {few}", "limit", 1.05, "<=") for few in ("16", "64", "all")),
    *(Goal(f"photos loop, {name}", "lightly", 6) for name in METHODS),
    # Images.
    Goal("JPEG, two views of 224", "plain", 1.5),
)
