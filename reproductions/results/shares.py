"""The share of what InfoNCE loses with few negatives that EqCo recovers, by learning rate."""

from __future__ import annotations

from dataclasses import dataclass

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


def share_at(scale: str, method: str, rate: float) -> Share | None:
    """The share with `HEADLINE_K` negatives by the linear probe; None below three seeds."""
    found = committed(scale)
    full = SCALES[scale].baseline(method, found.base)
    rows = [
        found.values(with_loss(full, loss, k, learning_rate=rate))
        for loss, k in (
            ("infonce", HEADLINE_K), ("eqco", HEADLINE_K), ("infonce", full.num_negatives),
        )
    ]  # fmt: skip
    seeds = sorted(set.intersection(*map(set, rows)))
    if len(seeds) < LEAST_SEEDS:
        return None
    few, eqco, most = (np.array([row[seed] for seed in seeds]) for row in rows)
    return Share(*share_recovered(few, eqco, most), len(seeds))
