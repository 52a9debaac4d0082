"""Table 5: the family of losses in SiMo at K = 16 and at full K, one recipe.

    pytest reproductions/ -k table5

DCL and FlatNCE have one gradient, which EqCo tends to as alpha grows; dual temperature weighs each
query by 1 - p_0 at temperature 1. All of them raise the small gradient that InfoNCE has at small K,
so expect them above InfoNCE at K = 16 and near each other.
"""

from __future__ import annotations

from eqco.losses.registry import LOSSES
from eqco.recipe import Recipe
from reproductions.scales import Scale
from reproductions.tables.base import Claim, Table, beats, equals, with_loss

PRIMARY = "dcl-beats-infonce-k16"


def build(scale: Scale, base: Recipe) -> Table:
    """Every loss of the family at both K; corrected forms and rivals have tables of their own."""
    simo = scale.baseline("simo", base)
    family = [name for name, loss in LOSSES.items() if not loss.corrects and not loss.baseline]
    few = {loss: with_loss(simo, loss, 16) for loss in family}
    many = {loss: with_loss(simo, loss, simo.num_negatives) for loss in family}
    claims: list[Claim] = []
    for loss in [name for name in family if name not in ("infonce", "eqco")]:
        title = LOSSES[loss].title
        claims += [
            beats(
                f"{loss}-beats-infonce-k16",
                f"{title} with K=16 is more accurate than InfoNCE with K=16",
                few[loss],
                few["infonce"],
            ),
            equals(
                f"{loss}-equals-eqco-k16",
                f"{title} with K=16 is as accurate as EqCo with K=16",
                few[loss],
                few["eqco"],
            ),
        ]
    rows = [row for loss in family for row in (few[loss], many[loss])]
    return Table("the family of losses", tuple(rows), tuple(claims), PRIMARY)
