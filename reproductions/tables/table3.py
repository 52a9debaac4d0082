"""Table 3: SiMo against MoCo v2 against SimCLR, each with its own best learning rate.

    pytest reproductions/ -k table3        all rows are shared with tables 1 and 2

Claim C5 of the paper: SiMo with EqCo and 16 negatives is comparable to MoCo v2 with 65,536.
Published on ImageNet, 200 epochs: MoCo v2 67.5 (five trials, 67.3 to 67.7), SiMo 68.5
(configuration not stated), SimCLR 66.6 (batch 8192); the authors' code, alpha / K off, 68.036 for
SiMo and 67.286 for SimCLR.
"""

from __future__ import annotations

from eqco.methods import METHODS
from eqco.recipe import Recipe
from reproductions.scales import Scale
from reproductions.tables.base import Row, Table, not_worse, with_loss

PRIMARY = "simo-k16-holds-up-to-moco"


def build(scale: Scale, base: Recipe) -> Table:
    """Each method at full K, and SiMo with EqCo at 16 and at full K."""
    simo, moco, simclr = (Row(scale.baseline(name, base)) for name in ("simo", "moco", "simclr"))
    few = with_loss(simo.recipe, "eqco", 16)
    rows = (few, with_loss(simo.recipe, "eqco", simo.recipe.num_negatives), simo, moco, simclr)
    claims = [
        not_worse(
            f"simo-k16-holds-up-to-{other.recipe.method}",
            f"SiMo with EqCo and K=16 is not worse than {METHODS[other.recipe.method].title} with "
            "InfoNCE and all negatives",
            few,
            other,
            paper=paper,
        )
        for other, paper in ((moco, "C5"), (simclr, ""))
    ]
    return Table("the three methods at their best", rows, tuple(claims), PRIMARY)
