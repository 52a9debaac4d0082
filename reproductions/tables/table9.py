"""Table 9: temperature x K x loss, the cells behind the law of what few negatives cost.

    pytest reproductions/ -k table9        then: python -m figures.law

A low temperature raises CV^2, and with it E[rho^2 CV^2] / (2K) of the full-K encoder, the leading
order of the loss that K negatives miss. Nothing is published.
"""

from __future__ import annotations

from dataclasses import replace

from eqco.losses.registry import LOSSES
from eqco.recipe import Recipe
from reproductions.scales import Scale
from reproductions.tables.base import Claim, Row, Table, beats, with_loss

TEMPERATURES = (0.1, 0.2, 0.5)
# Points of EqCo with all negatives over EqCo at K that were predicted at the glyphs scale: twice
# E[rho^2 CV^2] / (2K) nats, cut where few negatives train little.
PREDICTED = {
    (0.1, 4): 9.0, (0.1, 16): 3.0, (0.1, 64): 1.0,
    (0.2, 4): 4.5, (0.2, 16): 1.2, (0.2, 64): 0.4,
    (0.5, 4): 1.0, (0.5, 16): 0.3, (0.5, 64): 0.1,
}  # fmt: skip

PRIMARY = "eqco-k16-drops-t0.1"


def build(scale: Scale, base: Recipe) -> Table:
    """Both losses at each K and temperature; a claim for EqCo at each K below full K."""
    rows: list[Row] = []
    claims: list[Claim] = []
    for temperature in TEMPERATURES:
        simo = replace(scale.baseline("simo", base), temperature=temperature)
        counts = (*scale.below["simo"], simo.num_negatives)
        suffix = f"-t{temperature:g}"
        cells = {
            (loss, k): with_loss(simo, loss, k, suffix, f"t={temperature:g}")
            for loss in ("infonce", "eqco")
            for k in counts
        }
        rows += cells.values()
        claims += [
            beats(
                f"eqco-k{k}-drops{suffix}",
                f"at temperature {temperature:g} {LOSSES['eqco'].title} with K={k} is less "
                f"accurate than with all {simo.num_negatives} negatives",
                cells["eqco", counts[-1]],
                cells["eqco", k],
                predicted=PREDICTED.get((temperature, k)),
            )
            for k in counts[:-1]
        ]
    return Table("temperature across K", tuple(rows), tuple(claims), PRIMARY)
