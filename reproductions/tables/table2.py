"""Table 2: MoCo v2 and SimCLR, InfoNCE against EqCo across K.

    pytest reproductions/ -k table2

MoCo draws K of its queue for each query, SimCLR K of the other images' 2 (N - 1) views. In MoCo
EqCo at full K is InfoNCE (alpha = K), so that row is shared; in SimCLR alpha is N. Published for
MoCo v2 on ImageNet: 67.0, 67.1 and 67.5 at K = 256, 1024 and 65536, with or without EqCo not
stated. Expect what table 1 shows.
"""

from __future__ import annotations

from eqco.recipe import Recipe
from reproductions.scales import Scale
from reproductions.tables.base import Claim, Row, Table, against_full, with_loss

PRIMARY = "moco-eqco-k16-recovers"


def build(scale: Scale, base: Recipe) -> Table:
    """Both losses at each K, of both methods."""
    rows: list[Row] = []
    claims: list[Claim] = []
    for method in ("moco", "simclr"):
        full = scale.baseline(method, base)
        infonce, eqco = (
            [with_loss(full, loss, k) for k in scale.below[method]] for loss in ("infonce", "eqco")
        )
        infonce_full = Row(full)
        same = full.num_negatives == full.pool()  # then alpha = K
        eqco_full = infonce_full if same else with_loss(full, "eqco", full.num_negatives)
        pairs = list(zip(infonce, eqco, strict=True))
        rows += [*infonce, *eqco, *dict.fromkeys((eqco_full, infonce_full))]
        claims += against_full(pairs, infonce_full, eqco_full, f"{method}-")
    return Table("MoCo v2 and SimCLR across K", tuple(rows), tuple(claims), PRIMARY)
