"""Table 1: SiMo, InfoNCE against EqCo across K, everything else equal."""

from __future__ import annotations

from dataclasses import replace

from eqco.recipe import SCALES, Recipe

LOSSES = ("infonce", "eqco")


def row(base: Recipe, loss: str, num_negatives: int) -> Recipe:
    """The baseline with another loss and K; EqCo's alpha is the batch size, as in the paper."""
    alpha = float(base.batch_size) if loss == "eqco" else None
    return replace(base, loss=loss, num_negatives=num_negatives, alpha=alpha)


def rows(scale: str, base: Recipe | None = None) -> dict[str, Recipe]:
    """Recipes by readable id, such as "simo-eqco-k16".

    Args:
        scale: a name in `eqco.recipe.SCALES`.
        base: another baseline than the scale's own, for images of one's own.
    """
    base = base or SCALES[scale].base
    return {
        f"{base.method}-{loss}-k{num_negatives}": row(base, loss, num_negatives)
        for loss in LOSSES
        for num_negatives in SCALES[scale].negatives
    }
