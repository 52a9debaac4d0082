"""Table 6: negatives drawn for each query, or by one permutation for all queries as the authors do.

    pytest reproductions/ -k table6        8 runs, 5 to 8 minutes at scale glyphs on 2 cores

With one permutation a batch sees at most 2K distinct keys, 32 at K = 16. Nothing is published.
"""

from __future__ import annotations

from dataclasses import replace

from eqco.recipe import DRAWING_NAMES, Recipe
from reproductions.tables import LOSSES, Claim, Rows, baseline, beats, equals, name, row


def rows(scale: str, base: Recipe | None = None) -> Rows:
    """Recipes by name, such as "simo-eqco-k16-shared"."""
    simo = baseline(scale, "simo", base)
    found = {}
    for loss in LOSSES:
        for k in (4, 16):
            for drawing in DRAWING_NAMES:
                recipe = replace(row(simo, loss, k), drawing=drawing)
                found[name(recipe, f"-{drawing}")] = recipe
    return found


def claims(scale: str, base: Recipe | None = None) -> dict[str, Claim]:
    """Does it matter how they are drawn?"""
    found = {}
    for loss in LOSSES:
        for k in (4, 16):
            one, all_ = f"simo-{loss}-k{k}-independent", f"simo-{loss}-k{k}-shared"
            found[f"{loss}-k{k}-independent-beats-shared"] = beats(
                f"{loss} with K={k} is more accurate with negatives drawn for each query", one, all_
            )
            found[f"{loss}-k{k}-shared-equals-independent"] = equals(
                f"{loss} with K={k} is as accurate with one permutation for all queries", all_, one
            )
    return found
