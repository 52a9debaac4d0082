"""Table 10: does longer training close the gap at K = 16, and do later methods do better there?

    pytest reproductions/ -k table10

Schedules of a third, 1, 3 and 9 times the usual epochs. Rivals: SogCLR (arXiv 2202.12387),
negatives reweighted by hardness (arXiv 2010.04592), and SynCo (arXiv 2410.02401) beside MoCo v2;
each at three learning rates, and claims at the rate of the baseline. Nothing is published.
"""

from __future__ import annotations

from dataclasses import replace

from eqco.methods import METHODS
from eqco.recipe import Recipe
from reproductions.scales import Scale
from reproductions.tables.base import Claim, Row, Table, beats, equals, with_loss

# Predicted points of all negatives over K = 16, by how many times the usual epochs.
GAPS = {1 / 3: 2.5, 1: 1.2, 3: 0.6, 9: 0.4}
RATES = (0.4, 1, 2.5)  # times the rate of the scale
RIVALS = (("simo", "hard_infonce"), ("simo", "sogclr"), ("synco", "infonce"))


def build(scale: Scale, base: Recipe) -> Table:
    """EqCo at 16 and full K over schedules; EqCo and its rivals at K = 16 over rates."""
    rows, claims = schedules(scale, base)
    more_rows, more_claims = rivals(scale, base, {row.recipe: row for row in rows})
    return Table(
        "longer training, and later methods at K = 16",
        (*rows, *more_rows),
        (*claims, *more_claims),
        claims[-1].name,
    )


def schedules(scale: Scale, base: Recipe) -> tuple[list[Row], list[Claim]]:
    """EqCo at 16 and full K for each number of epochs."""
    simo = scale.baseline("simo", base)
    rows: list[Row] = []
    claims: list[Claim] = []
    for stretch, gap in GAPS.items():
        epochs = max(1, round(simo.epochs * stretch))
        longer, suffix = replace(simo, epochs=epochs), f"-epochs{epochs}"
        few, full = (
            with_loss(longer, "eqco", k, suffix, f"{epochs} ep.") for k in (16, simo.num_negatives)
        )
        rows += [few, full]
        claims.append(
            beats(
                f"eqco-k16-drops{suffix}",
                f"after {epochs} epochs EqCo with K=16 is less accurate than with all negatives",
                full,
                few,
                predicted=gap,
            )
        )
    return rows, claims


def rivals(scale: Scale, base: Recipe, shared: dict[Recipe, Row]) -> tuple[list[Row], list[Claim]]:
    """Each rival, and EqCo in the same method, at three rates and K = 16.

    Args:
        scale: of the runs.
        base: its SiMo baseline.
        shared: rows that the table has already.

    Returns:
        Further rows, and claims about rows of both kinds.
    """
    rows: dict[tuple[str, str, float], Row] = {}
    claims: list[Claim] = []
    for method, loss in RIVALS:
        other = "moco" if method == "synco" else method
        full, usual = scale.baseline(other, base), scale.baseline(method, base)
        for factor in RATES:
            for recipe, name in ((usual, loss), (full, "eqco")):
                rate = float(f"{recipe.learning_rate * factor:.6g}")
                at_rate = replace(recipe, learning_rate=rate)
                row = with_loss(at_rate, name, 16, f"-rate{factor:g}", f"rate {rate:g}")
                rows[recipe.method, name, factor] = shared.get(row.recipe, row)
        rival, plain = rows[usual.method, loss, 1], rows[full.method, "eqco", 1]
        title = METHODS[method].title if method == "synco" else rival.title
        claims.append(
            equals(
                f"{method}-{loss}-equals-eqco-k16",
                f"{title} is as accurate as EqCo with K=16",
                rival,
                plain,
                predicted=0.0,
            )
        )
    return [row for row in rows.values() if row.recipe not in shared], claims
