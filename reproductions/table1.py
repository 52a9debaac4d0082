"""Table 1: SiMo, InfoNCE against EqCo across K, everything else equal."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from eqco.judge import Verdict, better, equivalent
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


@dataclass(frozen=True)
class Claim:
    """A statement about two rows.

    Attributes:
        says: the statement in words.
        left, right: the rows; the difference is left - right.
        test: `eqco.judge.equivalent` or `eqco.judge.better`.
    """

    says: str
    left: str
    right: str
    test: Callable[[Sequence[float], Sequence[float]], Verdict]


def claims(scale: str, method: str = "simo") -> dict[str, Claim]:
    """Claim C1 of the paper, taken apart: per K below full K, three statements."""
    *below, full = SCALES[scale].negatives
    found = {}
    for k in below:
        found[f"eqco-k{k}-equals-full"] = Claim(
            f"EqCo with K={k} is as accurate as with all {full} negatives, within 1 point",
            f"{method}-eqco-k{k}",
            f"{method}-eqco-k{full}",
            equivalent,
        )
        found[f"infonce-k{k}-drops"] = Claim(
            f"InfoNCE with K={k} is less accurate than with all {full} negatives",
            f"{method}-infonce-k{full}",
            f"{method}-infonce-k{k}",
            better,
        )
        found[f"eqco-beats-infonce-k{k}"] = Claim(
            f"EqCo with K={k} is more accurate than InfoNCE with K={k}",
            f"{method}-eqco-k{k}",
            f"{method}-infonce-k{k}",
            better,
        )
    return found


# Claims that fail at a scale, with the numbers of the committed evidence. A strict xfail each.
FAILS: dict[tuple[str, str], str] = {
    ("glyphs", "eqco-k4-equals-full"): (
        "EqCo at K=4 stays 4.14 points below full K, 90 % interval [-4.70, -3.57], n=5"
    ),
    ("glyphs", "eqco-beats-infonce-k4"): (
        "EqCo at K=4 has no advantage: -0.24 points, 90 % interval [-0.76, +0.28], n=5"
    ),
    ("glyphs", "eqco-beats-infonce-k64"): (
        "at K=64 the advantage is under a point: +0.14, 90 % interval [-0.34, +0.62], n=5"
    ),
}
