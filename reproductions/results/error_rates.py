"""How often verdicts of a table are wrong, and how often they are decided: by simulation.

Accuracies of a row are its true mean, a part that all rows of a seed share, and a part of its own;
both are normal, as wide as in the records of table 1.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from reproductions.statistics.verdicts import level_of, t_interval
from reproductions.tables.base import Table

SHARED, OWN = 0.55, 0.55  # standard deviations, points
TABLES = 10_000


def decisions(
    sums: np.ndarray, bounds: tuple[float, float], simultaneous: int
) -> tuple[np.ndarray, np.ndarray]:
    """Where a claim holds and where it does not, as `judge` says; sums (tables, n)."""
    mean, sd = sums.mean(axis=1), sums.std(axis=1, ddof=1)
    low, high = t_interval(mean, sd, sums.shape[1], level_of(simultaneous))
    return (bounds[0] < low) & (high < bounds[1]), (high < bounds[0]) | (bounds[1] < low)


def rates(
    table: Table, means: Mapping[str, float], seed_counts: Sequence[int]
) -> tuple[float, float, float]:
    """Shares of tables with a wrong primary verdict and with any, and of claims that are decided.

    Args:
        table: whose claims are judged.
        means: true accuracy of each row, by name.
        seed_counts: at which it is judged, ascending; the first verdict that is not open stands.
    """
    rng, places = np.random.default_rng(0), {row.name: i for i, row in enumerate(table.rows)}
    true_means = np.array([means[name] for name in places])
    shape = (TABLES, seed_counts[-1])
    shared, own = rng.normal(0, SHARED, (*shape, 1)), rng.normal(0, OWN, (*shape, len(places)))
    runs = true_means + shared + own
    wrong, decided = {}, 0.0
    for claim in table.claims:
        columns, weights = [places[row.name] for row in claim.rows], np.array(claim.weights)
        bounds, sums = (claim.low, claim.high), runs[:, :, columns] @ weights
        holds, fails = np.zeros((2, TABLES), dtype=bool)
        for n in seed_counts:
            holds_now, fails_now = decisions(sums[:, :n], bounds, table.simultaneous(claim))
            holds, fails = holds | (holds_now & ~fails), fails | (fails_now & ~holds)
        mean = float(true_means[columns] @ weights)
        wrong[claim.name] = (holds & (not bounds[0] < mean < bounds[1])) | (
            fails & (bounds[0] <= mean <= bounds[1])
        )
        decided += float((holds | fails).mean()) / len(table.claims)
    anywhere = np.any(list(wrong.values()), axis=0)
    return float(wrong[table.primary].mean()), float(anywhere.mean()), decided
