"""Table 4: SiMo with EqCo across alpha, at K = 16 and at full K.

    pytest reproductions/ -k table4        12 runs, 8 to 12 minutes at scale glyphs on 2 cores

alpha = K is InfoNCE; with alpha far above K, EqCo is DCL. Expect the accuracy to rise from
alpha = 16 to 256 and to change little beyond: 1 - pi_0 is close to 1 by then.
"""

from __future__ import annotations

from dataclasses import replace

from eqco.recipe import Recipe
from reproductions.tables import Claim, Rows, baseline, beats, equals, name, row

ALPHAS = (16, 64, 256, 1024, 4096, 65536)
SMOKE_ALPHAS = (16, 64, 65536)


def rows(scale: str, base: Recipe | None = None) -> Rows:
    """Recipes by name, such as "simo-eqco-k16-alpha256"."""
    simo = baseline(scale, "simo", base)
    found = {}
    for k in (16, simo.num_negatives):
        for alpha in SMOKE_ALPHAS if scale == "smoke" else ALPHAS:
            recipe = replace(row(simo, "eqco", k), alpha=float(alpha))
            found[name(recipe, f"-alpha{alpha}")] = recipe
    return found


def claims(scale: str, base: Recipe | None = None) -> dict[str, Claim]:
    """Whether alpha matters, and whether its size does beyond the batch."""
    simo = baseline(scale, "simo", base)
    middle = simo.batch_size
    found = {}
    for k in (16, simo.num_negatives):
        found[f"alpha{middle}-beats-alpha16-k{k}"] = beats(
            f"at K={k} alpha={middle} is more accurate than alpha=16",
            f"simo-eqco-k{k}-alpha{middle}",
            f"simo-eqco-k{k}-alpha16",
        )
        found[f"alpha65536-equals-alpha{middle}-k{k}"] = equals(
            f"at K={k} alpha=65536 is as accurate as alpha={middle}",
            f"simo-eqco-k{k}-alpha65536",
            f"simo-eqco-k{k}-alpha{middle}",
        )
    return found
