"""Table 6: negatives drawn for each query, or by one permutation for all queries as the authors do.

    pytest reproductions/ -k table6

With one permutation a batch sees at most 2K distinct keys, 32 at K = 16. Nothing is published.
"""

from __future__ import annotations

from eqco.losses.registry import LOSSES
from eqco.recipe import Recipe
from reproductions.scales import Scale
from reproductions.tables.base import Claim, Row, Table, beats, equals, with_loss

PRIMARY = "eqco-k16-independent-beats-shared"


def build(scale: Scale, base: Recipe) -> Table:
    """Both losses at two K, with both drawings."""
    simo = scale.baseline("simo", base)
    rows: list[Row] = []
    claims: list[Claim] = []
    for loss in ("infonce", "eqco"):
        for k in (4, 16):
            independent = with_loss(simo, loss, k, "-independent")
            shared = with_loss(simo, loss, k, "-shared", "shared", drawing="shared")
            subject = f"{LOSSES[loss].title} with K={k} is"
            rows += [independent, shared]
            claims += [
                beats(
                    f"{loss}-k{k}-independent-beats-shared",
                    f"{subject} more accurate with negatives drawn for each query",
                    independent,
                    shared,
                ),
                equals(
                    f"{loss}-k{k}-shared-equals-independent",
                    f"{subject} as accurate with one permutation for all queries",
                    shared,
                    independent,
                ),
            ]
    return Table("how negatives are drawn", tuple(rows), tuple(claims), PRIMARY)
