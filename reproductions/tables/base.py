"""Parts of a table: rows, which are recipes, and claims, which compare two rows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from eqco.losses.registry import LOSSES
from eqco.methods import METHODS
from eqco.recipe import Recipe
from reproductions.statistics.verdicts import Verdict, better, equivalent, not_inferior

# What a claim about K compares; the front page groups claims by it.
ASPECTS = {
    "level": "EqCo at K equals all negatives",
    "falls": "InfoNCE at K is worse than with all",
    "better": "EqCo beats InfoNCE at K",
}
Test = Callable[[Sequence[float], Sequence[float]], Verdict]


def judge_by_seed(test: Test, left: dict[int, float], right: dict[int, float]) -> Verdict | None:
    """The verdict of a test on accuracies by seed; None where they share no seed."""
    seeds = sorted(left.keys() & right.keys())
    return test([left[s] for s in seeds], [right[s] for s in seeds]) if seeds else None


@dataclass(frozen=True)
class Row:
    """A row of a table.

    Attributes:
        recipe: what is run.
        suffix: end of its name, where loss and K do not tell it from the others.
        remark: how it differs besides loss and K, for readers.
    """

    recipe: Recipe
    suffix: str = ""
    remark: str = ""

    @property
    def name(self) -> str:
        """Part of a test's id, such as "simo-eqco-k16"."""
        recipe = self.recipe
        return f"{recipe.method}-{recipe.loss}-k{recipe.num_negatives}{self.suffix}"

    @property
    def title(self) -> str:
        """The loss as tables show it."""
        return f"{LOSSES[self.recipe.loss].title} {self.remark}".strip()


@dataclass(frozen=True)
class Claim:
    """A statement about two rows.

    Attributes:
        name: part of a test's id.
        statement: what is claimed.
        left, right: the rows; the difference is left - right.
        test: a function of `reproductions.statistics.verdicts`.
        paper: the paper's claim that it tests, such as "C1", or "".
        aspect: what of it, in a few words.
        predicted: the difference in points that was predicted at the glyphs scale before any run;
            None where nothing was.
    """

    name: str
    statement: str
    left: Row
    right: Row
    test: Test
    paper: str = ""
    aspect: str = ""
    predicted: float | None = None

    @property
    def num_negatives(self) -> int:
        """The smaller K of both rows, which the statement is about."""
        return min(self.left.recipe.num_negatives, self.right.recipe.num_negatives)

    @property
    def methods(self) -> str:
        """`SiMo`, or `SiMo, MoCo v2` where the rows differ in it."""
        names = dict.fromkeys(row.recipe.method for row in (self.left, self.right))
        return ", ".join(METHODS[name].title for name in names)

    def judge(self, left: dict[int, float], right: dict[int, float]) -> Verdict | None:
        """Verdict on the accuracies of both rows by seed; None where they share no seed."""
        return judge_by_seed(self.test, left, right)


@dataclass(frozen=True)
class Table:
    """Rows and claims of a table at a scale.

    Attributes:
        title: what it compares.
        rows, claims: in order.
    """

    title: str
    rows: tuple[Row, ...]
    claims: tuple[Claim, ...]

    def row(self, name: str) -> Row:
        """The row of a name."""
        return {row.name: row for row in self.rows}[name]

    def claim(self, name: str) -> Claim:
        """The claim of a name."""
        return {claim.name: claim for claim in self.claims}[name]


def with_loss(
    base: Recipe, loss: str, num_negatives: int, suffix: str = "", remark: str = "", **changes: Any
) -> Row:
    """The baseline with another loss and K.

    alpha is the number of keys that negatives are drawn from: the batch size, as in the paper's
    SiMo, or the queue size. Other settings of a loss have the example value of `LOSSES`.
    """
    settings: dict[str, Any] = {each.setting: None for each in LOSSES.values() if each.setting}
    own = LOSSES[loss]
    if own.setting:
        settings[own.setting] = float(base.pool()) if own.setting == "alpha" else own.example
    recipe = replace(base, loss=loss, num_negatives=num_negatives, **{**settings, **changes})
    return Row(recipe, suffix, remark)


def equals(
    name: str,
    statement: str,
    left: Row,
    right: Row,
    paper: str = "",
    aspect: str = "",
    predicted: float | None = None,
) -> Claim:
    """The rows agree within a point."""
    whole = f"{statement}, within 1 point"
    return Claim(name, whole, left, right, equivalent, paper, aspect, predicted)


def beats(
    name: str,
    statement: str,
    left: Row,
    right: Row,
    paper: str = "",
    aspect: str = "",
    predicted: float | None = None,
) -> Claim:
    """The left row is more accurate."""
    return Claim(name, statement, left, right, better, paper, aspect, predicted)


def not_worse(
    name: str,
    statement: str,
    left: Row,
    right: Row,
    paper: str = "",
    aspect: str = "",
    predicted: float | None = None,
) -> Claim:
    """The left row is not worse by a point or more."""
    whole = f"{statement}, by a margin of 1 point"
    return Claim(name, whole, left, right, not_inferior, paper, aspect, predicted)


def against_full(
    pairs: Sequence[tuple[Row, Row]], plain_full: Row, eqco_full: Row, prefix: str = ""
) -> list[Claim]:
    """Three claims for each K below full K, which together test claim C1 of the paper.

    Args:
        pairs: InfoNCE and EqCo at each K below full K.
        plain_full: InfoNCE with all negatives.
        eqco_full: EqCo with all negatives; InfoNCE where alpha is K there.
        prefix: of the names.
    """
    full, found = plain_full.recipe.num_negatives, []
    for plain, eqco in pairs:
        k = plain.recipe.num_negatives
        found += [
            equals(
                f"{prefix}eqco-k{k}-equals-full",
                f"EqCo with K={k} is as accurate as with all {full} negatives",
                eqco,
                eqco_full,
                "C1",
                ASPECTS["level"],
            ),
            beats(
                f"{prefix}infonce-k{k}-drops",
                f"InfoNCE with K={k} is less accurate than with all {full} negatives",
                plain_full,
                plain,
                "C1",
                ASPECTS["falls"],
            ),
            beats(
                f"{prefix}eqco-beats-infonce-k{k}",
                f"EqCo with K={k} is more accurate than InfoNCE with K={k}",
                eqco,
                plain,
                "C1",
                ASPECTS["better"],
            ),
        ]
    return found
