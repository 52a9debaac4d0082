"""Verdicts on all claims of a table, on two metrics, corrected for the number of claims."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence

from reproductions.statistics.verdicts import LEAST_SEEDS, STATUSES, UNDETERMINED, Verdict, correct
from reproductions.tables.base import Claim, Row

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

Values = Callable[[Row, str], dict[int, float]]  # a metric of a row by seed, percent
Verdicts = dict[str, Verdict]  # on one claim, by metric


def judge_claims(claims: Sequence[Claim], values: Values) -> dict[str, Verdicts]:
    """Verdicts by the claim's name, then by metric; none where its rows share no seed.

    Args:
        claims: all claims of a table: they are corrected together, on each metric by itself.
        values: the metric of a row by seed.
    """
    found: dict[str, Verdicts] = {claim.name: {} for claim in claims}
    for metric in JUDGED:
        judged = {
            claim.name: claim.judge(values(claim.left, metric), values(claim.right, metric))
            for claim in claims
        }
        known = {name: verdict for name, verdict in judged.items() if verdict is not None}
        corrected = correct(list(known.values()), without=len(claims) - len(known))
        for name, verdict in zip(known, corrected, strict=True):
            found[name][metric] = verdict
    return found


def inside(claim: Claim, verdict: Verdict | None) -> bool | None:
    """Whether the predicted points lie in the interval; None without a prediction or interval."""
    if claim.predicted is None or verdict is None or verdict.n < LEAST_SEEDS:
        return None
    return verdict.low <= claim.predicted <= verdict.high


def tally(verdicts: Iterable[Verdict]) -> str:
    """`3 supported, 2 contradicted, 1 within a point, 3 undetermined`."""
    counts = Counter(verdict.status for verdict in verdicts)
    return ", ".join(f"{counts[status]} {status}" for status in (*STATUSES, UNDETERMINED))


def seeds_of(verdicts: Iterable[Verdict]) -> str:
    """`n=5`, or `n=3 to 5` where claims have different numbers of seeds."""
    counts = sorted({verdict.n for verdict in verdicts}) or [0]
    return f"n={counts[0]}" if len(counts) == 1 else f"n={counts[0]} to {counts[-1]}"
