"""Table 8: EqCo, DCL and FlatNCE with the bias of few negatives taken out, across K.

    pytest reproductions/ -k table8

The jackknife and the second-order term lower the bias from O(1/K) to O(1/K^2), see
`eqco.analysis.theory`, and add noise. FlatNCE has the gradient of DCL and is compared at K = 16
only. Nothing is published.
"""

from __future__ import annotations

from eqco.losses.registry import LOSSES
from eqco.recipe import Recipe
from reproductions.scales import Scale
from reproductions.tables.base import Claim, Row, Table, beats, with_loss

COUNTS = (4, 8, 16, 32, 64)
CORRECTED = {
    "eqco_jackknife": COUNTS,
    "eqco_second_order": COUNTS,
    "dcl_jackknife": COUNTS,
    "flat_nce_jackknife": (16,),
}
# Points of the corrected loss over the plain one that were predicted at the glyphs scale. The
# terms beyond 1/K and the noise of the correction spoil it at K = 4, where CV^2 is above K.
JACKKNIFE = {4: 0.0, 8: 0.4, 16: 0.4, 32: 0.2, 64: 0.1}
SECOND_ORDER = {4: 0.3, 8: 0.3, 16: 0.2, 32: 0.1, 64: 0.1}

PRIMARY = "eqco_jackknife-beats-eqco-k16"


def build(scale: Scale, base: Recipe) -> Table:
    """Each loss and its corrected forms at each K below full K."""
    simo = scale.baseline("simo", base)
    rows: dict[tuple[str, int], Row] = {}
    claims: list[Claim] = []
    for loss, counts in CORRECTED.items():
        plain = LOSSES[loss].corrects
        predicted = SECOND_ORDER if loss == "eqco_second_order" else JACKKNIFE
        for k in (count for count in counts if count < simo.num_negatives):
            for name in (plain, loss):
                rows.setdefault((name, k), with_loss(simo, name, k))
            claims.append(
                beats(
                    f"{loss}-beats-{plain}-k{k}",
                    f"{LOSSES[loss].title} with K={k} is more accurate than {LOSSES[plain].title}",
                    rows[loss, k],
                    rows[plain, k],
                    predicted=predicted[k],
                )
            )
    ordered = sorted(rows, key=lambda key: (list(LOSSES).index(key[0]), key[1]))
    return Table(
        "few negatives without bias", tuple(rows[key] for key in ordered), tuple(claims), PRIMARY
    )
