"""Table 1: SiMo, InfoNCE against EqCo across K, everything else equal.

    pytest reproductions/ -k table1        8 runs, 6 to 10 minutes at scale glyphs on 2 cores

Expect InfoNCE to fall as K shrinks, and EqCo to stay level while K is far above CV^2.
"""

from __future__ import annotations

from eqco.recipe import SCALES, Recipe
from reproductions.tables import LOSSES, Claim, Rows, against_full, baseline, named, row


def rows(scale: str, base: Recipe | None = None) -> Rows:
    """Recipes by name, such as "simo-eqco-k16"."""
    base = baseline(scale, "simo", base)
    return named([row(base, loss, k) for loss in LOSSES for k in SCALES[scale].negatives])


def claims(scale: str, base: Recipe | None = None) -> dict[str, Claim]:
    """Claim C1 of the paper for SiMo."""
    base = baseline(scale, "simo", base)
    *below, full = SCALES[scale].negatives
    return against_full(base, below, f"simo-eqco-k{full}")
