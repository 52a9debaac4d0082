"""The share of what InfoNCE loses with few negatives that EqCo recovers, by learning rate."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from reproductions.results.evidence import committed
from reproductions.scales import SCALES
from reproductions.statistics.verdicts import LEAST_SEEDS, share_recovered
from reproductions.tables.base import with_loss
from reproductions.tables.claims import HEADLINE_K


@dataclass(frozen=True)
class Share:
    """(EqCo - InfoNCE) / (all - InfoNCE) at one learning rate.

    Attributes:
        value: ratio of means over seeds.
        low, high: its 95 % interval; infinite where the loss may be none.
        n: seeds that all three rows have.
    """

    value: float
    low: float
    high: float
    n: int


@dataclass(frozen=True)
class Series:
    """Learning rates at which a share is known, everything else equal.

    Attributes:
        method: a name in `eqco.methods.METHODS`.
        rates: learning rates.
        training: what differs from the tables, in words.
        changes: the same as fields of the recipe.
        full: loss of the row with all negatives; with 255 EqCo is InfoNCE but for one part in 255.
    """

    method: str
    rates: tuple[float, ...]
    training: str = ""
    changes: dict[str, Any] = field(default_factory=dict)
    full: str = "infonce"

    def named(self, name: str) -> str:
        """A name with what differs from the tables."""
        return f"{name}, {self.training}" if self.training else name


def share_at(scale: str, series: Series, rate: float) -> Share | None:
    """The share with `HEADLINE_K` negatives by the linear probe; None below three seeds."""
    evidence = committed(scale)
    full = SCALES[scale].baseline(series.method, evidence.base)
    rows = [
        evidence.values(with_loss(full, loss, k, learning_rate=rate, **series.changes))
        for loss, k in (
            ("infonce", HEADLINE_K), ("eqco", HEADLINE_K), (series.full, full.num_negatives),
        )
    ]  # fmt: skip
    seeds = sorted(set.intersection(*map(set, rows)))
    if len(seeds) < LEAST_SEEDS:
        return None
    few, eqco, full_k = (np.array([row[seed] for seed in seeds]) for row in rows)
    return Share(*share_recovered(few, eqco, full_k), len(seeds))
