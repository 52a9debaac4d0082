"""Table 7: is the accuracy that few negatives cost noise or bias?

    pytest reproductions/ -k table7

The loss of K negatives differs from that of all in two ways. Its noise falls where the loss is
averaged over M disjoint draws of K, while its bias, that of a logarithm of a mean of K, stays. The
jackknife takes out the bias at the same K. Nothing is published.
"""

from __future__ import annotations

from itertools import pairwise

from eqco.losses.registry import LOSSES
from eqco.recipe import Recipe
from reproductions.scales import Scale
from reproductions.tables.base import Claim, Row, Table, beats, equals, with_loss

# Predicted points at the glyphs scale, from five seeds of earlier runs: at K = 16 half of what is
# missing is noise. The first 4 of 15 draws remove most of the noise, which falls as 1 / M.
NOISE = {(16, 4): 0.5, (16, 15): 0.1, (4, 16): 1.8, (4, 60): 0.2}
BIAS = 0.4  # of K = 16, with 15 draws
REST = {16: 0.5, 4: 2.0}  # full K over EqCo with the most draws


def draw_counts(k: int, available: int) -> list[int]:
    """Numbers of draws of K whose totals are K, 64 and the most of 16 times a whole number."""
    largest = 16 * (available // 16)
    return [total // k for total in sorted({k, 64, largest}) if total <= largest]


def build(scale: Scale, base: Recipe) -> Table:
    """EqCo at K = 16 and 4 and the jackknife at 16, over numbers of draws; all negatives."""
    simo = scale.baseline("simo", base)
    full = with_loss(simo, "eqco", simo.num_negatives)
    rows: dict[tuple[str, int], list[Row]] = {}
    for loss, k in (("eqco", 16), ("eqco_jackknife", 16), ("eqco", 4)):
        rows[loss, k] = [
            with_loss(
                simo, loss, k, f"-draws{m}" if m > 1 else "", f"{m} draws" if m > 1 else "", draws=m
            )
            for m in draw_counts(k, simo.num_negatives)
        ]
    claims = (*noise_claims(rows), *bias_claims(rows, full))
    return Table(
        "noise or bias of few negatives",
        (full, *(row for rows_of_k in rows.values() for row in rows_of_k)),
        claims,
        claims[0].name,
    )


def noise_claims(rows: dict[tuple[str, int], list[Row]]) -> list[Claim]:
    """More draws of the same K are more accurate."""
    return [
        beats(
            f"{loss}-k{k}-draws{more.recipe.draws}-beats-draws{fewer.recipe.draws}",
            f"{LOSSES[loss].title} with K={k} is more accurate averaged over "
            f"{more.recipe.draws} draws than over {fewer.recipe.draws}",
            more,
            fewer,
            predicted=NOISE.get((k, more.recipe.draws)),
        )
        for (loss, k), rows_of_k in rows.items()
        for fewer, more in pairwise(rows_of_k)
    ]


def bias_claims(rows: dict[tuple[str, int], list[Row]], full: Row) -> list[Claim]:
    """Without noise the bias is left; without both nothing is."""
    plain, corrected = rows["eqco", 16][-1], rows["eqco_jackknife", 16][-1]
    averaged = f"averaged over {plain.recipe.draws} draws"
    claims = [
        beats(
            f"all-beat-k{k}-draws{rows['eqco', k][-1].recipe.draws}",
            f"EqCo with K={k} averaged over {rows['eqco', k][-1].recipe.draws} draws is less "
            "accurate than with all negatives: its bias stays",
            full,
            rows["eqco", k][-1],
            predicted=REST[k],
        )
        for k in (16, 4)
    ]
    return [
        *claims,
        beats(
            "jackknife-beats-eqco-k16-averaged",
            f"with K=16 {averaged} the jackknife is more accurate than EqCo",
            corrected,
            plain,
            predicted=BIAS,
        ),
        equals(
            "jackknife-k16-averaged-equals-full",
            f"the jackknife with K=16 {averaged} is as accurate as EqCo with all negatives",
            corrected,
            full,
            predicted=-0.1,
        ),
    ]
