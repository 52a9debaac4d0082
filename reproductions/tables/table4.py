"""Table 4: SiMo with EqCo across alpha, at K = 16 and at full K.

    pytest reproductions/ -k table4

alpha = K is InfoNCE; with alpha far above K, EqCo is DCL. Expect the accuracy to rise from
alpha = 16 to 256 and to change little beyond: 1 - pi_0 is close to 1 by then.
"""

from __future__ import annotations

from eqco.recipe import Recipe
from reproductions.scales import Scale
from reproductions.tables.base import Claim, Row, Table, beats, equals, with_loss


def build(scale: Scale, base: Recipe) -> Table:
    """Every alpha at both K."""
    simo = scale.baseline("simo", base)
    middle = simo.batch_size
    smallest, largest = scale.alphas[0], scale.alphas[-1]
    rows: list[Row] = []
    claims: list[Claim] = []
    for k in (16, simo.num_negatives):
        rows_at = {
            alpha: with_loss(simo, "eqco", k, f"-alpha{alpha}", f"alpha{alpha}", alpha=float(alpha))
            for alpha in scale.alphas
        }
        rows += rows_at.values()
        claims += [
            beats(
                f"alpha{middle}-beats-alpha{smallest}-k{k}",
                f"at K={k} alpha={middle} is more accurate than alpha={smallest}",
                rows_at[middle],
                rows_at[smallest],
            ),
            equals(
                f"alpha{largest}-equals-alpha{middle}-k{k}",
                f"at K={k} alpha={largest} is as accurate as alpha={middle}",
                rows_at[largest],
                rows_at[middle],
            ),
        ]
    return Table("alpha", tuple(rows), tuple(claims), f"alpha{middle}-beats-alpha{smallest}-k16")
