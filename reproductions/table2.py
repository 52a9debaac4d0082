"""Table 2: MoCo v2 and SimCLR, InfoNCE against EqCo across K.

    pytest reproductions/ -k table2        12 runs, 15 to 20 minutes at scale glyphs on 2 cores

MoCo draws K of its queue for each query, SimCLR K of the other images' 2 (N - 1) views. At full K
EqCo with alpha = K is InfoNCE, so that row is shared. Published for MoCo v2 on ImageNet: 67.0, 67.1
and 67.5 at K = 256, 1024 and 65536, with or without EqCo not stated. Expect what table 1 shows.
"""

from __future__ import annotations

from eqco.recipe import Recipe
from reproductions.tables import LOSSES, Claim, Rows, against_full, baseline, named, row

# K below full. A queue brings larger K within reach than a batch does.
BELOW: dict[str, dict[str, tuple[int, ...]]] = {
    "moco": {
        "smoke": (16,),
        "glyphs": (16, 64, 256),
        "photos": (16, 64, 256),
        "cifar10": (16, 64, 256),
        "imagenet": (16, 64, 256, 1024),
    },
    "simclr": {
        "smoke": (16,),
        "glyphs": (16, 64),
        "photos": (16, 64),
        "cifar10": (16, 64),
        "imagenet": (16, 64),
    },
}


def rows(scale: str, base: Recipe | None = None) -> Rows:
    """Recipes by name, such as "moco-eqco-k16"."""
    recipes = []
    for method, below in BELOW.items():
        full = baseline(scale, method, base)
        recipes += [row(full, loss, k) for loss in LOSSES for k in below[scale]]
        recipes.append(full)
    return named(recipes)


def claims(scale: str, base: Recipe | None = None) -> dict[str, Claim]:
    """Claim C1 of the paper for MoCo v2 and SimCLR."""
    found = {}
    for method, below in BELOW.items():
        full = baseline(scale, method, base)
        parts = against_full(full, below[scale], f"{method}-infonce-k{full.num_negatives}")
        found.update({f"{method}-{each}": claim for each, claim in parts.items()})
    return found
