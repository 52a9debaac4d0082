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


# Claims that fail at a scale, with the numbers of the committed evidence. A strict xfail each.
FAILS: dict[tuple[str, str], str] = {
    ("glyphs", "eqco-k4-equals-full"): (
        "EqCo at K=4 stays 4.14 points below full K, 90 % interval [-4.70, -3.57], n=5"
    ),
    ("glyphs", "eqco-beats-infonce-k4"): (
        "EqCo at K=4 has no advantage: -0.24 points, 90 % interval [-0.76, +0.28], n=5"
    ),
    ("glyphs", "eqco-beats-infonce-k64"): (
        "at K=64 the advantage is under a point: +0.14, 90 % interval [-0.34, +0.62], n=5"
    ),
}
