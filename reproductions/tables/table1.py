"""Table 1: SiMo, InfoNCE against EqCo across K, everything else equal.

    pytest reproductions/ -k table1

Claim C1. Expect InfoNCE to fall as K shrinks, and EqCo to stay level while K is far above CV^2.
"""

from __future__ import annotations

from eqco.recipe import Recipe
from reproductions.scales import Scale
from reproductions.tables.base import Table, against_full, with_loss

PRIMARY = "eqco-k16-recovers"


def build(scale: Scale, base: Recipe) -> Table:
    """Both losses at each K."""
    simo = scale.baseline("simo", base)
    counts = (*scale.below["simo"], simo.num_negatives)
    infonce, eqco = ([with_loss(simo, loss, k) for k in counts] for loss in ("infonce", "eqco"))
    pairs = list(zip(infonce, eqco, strict=True))[:-1]
    claims = against_full(pairs, infonce[-1], eqco[-1])
    return Table("SiMo across K", (*infonce, *eqco), tuple(claims), PRIMARY)
