"""All claims of a table: verdicts on two metrics, and what was predicted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from functools import partial
from typing import Protocol

from reproductions.statistics.verdicts import LEAST_SEEDS, STATUSES, Verdict
from reproductions.tables.base import Claim, Row, Table

PRIMARY = "linear"  # as in the paper; tests of claims pass and fail by it
SECOND_METRIC = "knn"  # named before the runs; shown beside
JUDGED = (PRIMARY, SECOND_METRIC)

HEADLINE_K = 16  # negatives of the paper's headline
PAPER = {
    "C1": "accuracy hardly depends on K with EqCo, and falls without it",
    "C2": "the mutual-information bound stays steady in K",
    "C3": "the gradient magnitude stays steady in K",
    "C4": f"{HEADLINE_K} negatives are enough",
    "C5": f"SiMo with {HEADLINE_K} negatives is comparable to MoCo v2 with its whole queue",
}

Verdicts = dict[str, Verdict]  # on one claim, by metric


class Values(Protocol):
    """A metric of a row by seed, percent."""

    def __call__(self, row: Row, metric: str) -> dict[int, float]: ...


def judge_claims(table: Table, values: Values, planned: int | None = None) -> dict[str, Verdicts]:
    """Verdicts by the claim's name, then by metric; none where its rows share no seed.

    Args:
        table: whose claims are judged.
        values: the metric of a row by seed.
        planned: number of seeds at which it is judged; that of the table by default.
    """
    verdicts: dict[str, Verdicts] = {claim.name: {} for claim in table.claims}
    seeds = range(planned or table.planned)
    for claim in table.claims:
        for metric in JUDGED:
            values_of_metric = partial(values, metric=metric)
            verdict = claim.judge(values_of_metric, seeds, table.simultaneous(claim))
            if verdict is not None:
                verdicts[claim.name][metric] = verdict
    return verdicts


def inside(claim: Claim, verdict: Verdict | None) -> bool | None:
    """Whether the predicted points lie in `Verdict.alone`; None without either."""
    if claim.predicted is None or verdict is None or verdict.n < LEAST_SEEDS:
        return None
    low, high = verdict.alone
    return low <= claim.predicted <= high


def predicted_losses(claims: Sequence[Claim], full: Row) -> dict[str, float]:
    """Predicted points of `full` minus each row that chains of claims link to it, by row name.

    Where two chains reach a row, the first one in the order of the claims counts.

    Args:
        claims: of a table; `predicted` is the left row minus the right one.
        full: the row with all negatives, which loses nothing.
    """
    losses = {full.name: 0.0}
    linked = True
    while linked:
        linked = False
        for claim in (claim for claim in claims if claim.predicted is not None):
            left, right = claim.left.name, claim.right.name
            assert claim.predicted is not None
            if left in losses and right not in losses:
                losses[right], linked = losses[left] + claim.predicted, True
            elif right in losses and left not in losses:
                losses[left], linked = losses[right] - claim.predicted, True
    return losses


def tally(verdicts: Iterable[Verdict]) -> str:
    """`3 hold, 2 do not hold, 4 are open`."""
    counts = Counter(verdict.status for verdict in verdicts)
    words = zip(STATUSES, ("hold", "do not hold", "are open"), strict=True)
    return ", ".join(f"{counts[status]} {word}" for status, word in words)


def seed_counts(verdicts: Iterable[Verdict]) -> str:
    """`n=5`, or `n=3 to 5` where claims have different numbers of seeds."""
    counts = sorted({verdict.n for verdict in verdicts}) or [0]
    return f"n={counts[0]}" if len(counts) == 1 else f"n={counts[0]} to {counts[-1]}"
