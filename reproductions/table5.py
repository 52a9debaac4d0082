"""Table 5: the family of losses in SiMo at K = 16 and at full K, one recipe.

    pytest reproductions/ -k table5        10 runs, 7 to 10 minutes at scale glyphs on 2 cores

DCL and FlatNCE have one gradient, which EqCo tends to as alpha grows; dual temperature weighs each
query by 1 - p_0 at temperature 1. All four lift the small gradient that InfoNCE has at small K, so
expect them above InfoNCE at K = 16 and near each other.
"""

from __future__ import annotations

from eqco.recipe import LOSS_NAMES, Recipe
from reproductions.tables import Claim, Rows, baseline, beats, equals, named, row


def rows(scale: str, base: Recipe | None = None) -> Rows:
    """Recipes by name, such as "simo-dcl-k16"."""
    simo = baseline(scale, "simo", base)
    return named([row(simo, loss, k) for loss in LOSS_NAMES for k in (16, simo.num_negatives)])


def claims(scale: str, base: Recipe | None = None) -> dict[str, Claim]:
    """Each of the family against InfoNCE, and against EqCo, at K = 16."""
    found = {}
    for loss in ("dcl", "flat_nce", "dual_temperature"):
        found[f"{loss}-beats-infonce-k16"] = beats(
            f"{loss} with K=16 is more accurate than InfoNCE with K=16",
            f"simo-{loss}-k16",
            "simo-infonce-k16",
        )
        found[f"{loss}-equals-eqco-k16"] = equals(
            f"{loss} with K=16 is as accurate as EqCo with K=16",
            f"simo-{loss}-k16",
            "simo-eqco-k16",
        )
    return found
