"""Table 3: SiMo against MoCo v2 against SimCLR, each with its own best learning rate.

    pytest reproductions/ -k table3        5 runs, all shared with tables 1 and 2

Claim C5 of the paper: SiMo with EqCo and 16 negatives is comparable to MoCo v2 with 65,536.
Published on ImageNet, 200 epochs: MoCo v2 67.5 (five trials, 67.3 to 67.7), SiMo 68.5
(configuration not stated), SimCLR 66.6 (batch 8192); the authors' code, alpha / K off, 68.036 for
SiMo and 67.286 for SimCLR.
"""

from __future__ import annotations

from eqco.recipe import Recipe
from reproductions.tables import Claim, Rows, baseline, holds_up, name, named, row


def rows(scale: str, base: Recipe | None = None) -> Rows:
    """Each method at full K, and SiMo with EqCo at 16 and at full K."""
    simo = baseline(scale, "simo", base)
    return named(
        [
            row(simo, "eqco", 16),
            row(simo, "eqco", simo.num_negatives),
            *(baseline(scale, method, base) for method in ("simo", "moco", "simclr")),
        ]
    )


def claims(scale: str, base: Recipe | None = None) -> dict[str, Claim]:
    """Claim C5, and the same against SimCLR."""
    return {
        f"simo-k16-holds-up-to-{method}": holds_up(
            f"SiMo with EqCo and K=16 is not worse than {title} with InfoNCE and all negatives",
            "simo-eqco-k16",
            name(baseline(scale, method, base)),
        )
        for method, title in (("moco", "MoCo v2"), ("simclr", "SimCLR"))
    }
