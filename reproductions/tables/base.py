"""Parts of a table: rows, which are recipes, and claims, which compare two rows."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from eqco.losses.registry import LOSSES
from eqco.methods import METHODS
from eqco.recipe import Recipe
from reproductions.statistics.verdicts import RELEVANT, Verdict, judge, unless_passed, weighted_sums


@dataclass(frozen=True)
class Row:
    """A row of a table.

    Attributes:
        recipe: what is run.
        suffix: end of its name, where several rows have its loss and K.
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
    """A statement about rows: a weighted sum of their accuracies lies between two bounds.

    Attributes:
        name: part of a test's id.
        statement: what is claimed.
        rows: those compared; two rows are left - right.
        low, high: bounds of the mean, points; infinite without bound.
        paper: the paper's claim that it tests, such as "C1", or "".
        aspect: what of it, by which the front page groups claims: "recovers" (EqCo recovers half of
            what InfoNCE loses at K), "level" (EqCo at K equals all negatives), "falls" (InfoNCE at
            K is worse than with all), "better" (EqCo beats InfoNCE at K), or "".
        predicted: the mean, in points, that was predicted at the glyphs scale before any run; None
            where nothing was.
        weights: of the rows.
        infonce: rows of the same comparison with InfoNCE in the place of EqCo, which must not pass.
    """

    name: str
    statement: str
    rows: tuple[Row, ...]
    low: float
    high: float
    paper: str = ""
    aspect: str = ""
    predicted: float | None = None
    weights: tuple[float, ...] = (1.0, -1.0)
    infonce: tuple[Row, ...] = ()

    @property
    def left(self) -> Row:
        """The first row."""
        return self.rows[0]

    @property
    def right(self) -> Row:
        """The last row."""
        return self.rows[-1]

    @property
    def methods(self) -> str:
        """`SiMo`, or `SiMo, MoCo v2` where the rows differ in it."""
        names = dict.fromkeys(row.recipe.method for row in self.rows)
        return ", ".join(METHODS[name].title for name in names)

    @property
    def num_negatives(self) -> int:
        """The smallest K of its rows, which the statement is about."""
        return min(row.recipe.num_negatives for row in self.rows)

    @property
    def difference(self) -> str:
        """What is subtracted from what, as `EqCo 16 − mean of InfoNCE 16 and EqCo 255`."""
        first, *others = (f"{row.title} {row.recipe.num_negatives}" for row in self.rows)
        start = "mean of " if len(others) > 1 else ""
        return f"{first} − {start}{' and '.join(others)}"

    def judge(
        self, values: Callable[[Row], Mapping[int, float]], seeds: Sequence[int], simultaneous: int
    ) -> Verdict | None:
        """The verdict; None where the rows share no seed.

        Args:
            values: accuracies of a row by seed, percent.
            seeds: the planned ones.
            simultaneous: see `judge` of `reproductions.statistics.verdicts`.
        """

        def verdict(rows: Sequence[Row]) -> Verdict:
            sums = weighted_sums([values(row) for row in rows], self.weights, seeds)
            return judge(sums, self.low, self.high, len(seeds), simultaneous=simultaneous)

        outcome = verdict(self.rows)
        if not outcome.n:
            return None
        return unless_passed(outcome, verdict(self.infonce)) if self.infonce else outcome


@dataclass(frozen=True)
class Table:
    """Rows and claims of a table at a scale.

    Attributes:
        title: what it compares.
        rows, claims: in order.
        primary: name of the claim that is judged at 95 %; the others have simultaneous intervals.
        planned: seeds at which it is judged.
    """

    title: str
    rows: tuple[Row, ...]
    claims: tuple[Claim, ...]
    primary: str
    planned: int = 5

    def row(self, name: str) -> Row:
        return {row.name: row for row in self.rows}[name]

    def claim(self, name: str) -> Claim:
        return {claim.name: claim for claim in self.claims}[name]

    def simultaneous(self, claim: Claim) -> int:
        """The number of claims whose intervals hold simultaneously with that of a claim."""
        return 1 if claim.name == self.primary else max(1, len(self.claims) - 1)


def with_loss(
    base: Recipe, loss: str, num_negatives: int, suffix: str = "", remark: str = "", **changes: Any
) -> Row:
    """The baseline with another loss and K.

    alpha is the number of keys that negatives are drawn from: the batch size, as in the paper's
    SiMo, or the queue size. Other settings of a loss have the example value of `LOSSES`.
    """
    settings: dict[str, Any] = {entry.setting: None for entry in LOSSES.values() if entry.setting}
    chosen = LOSSES[loss]
    if chosen.setting:
        settings[chosen.setting] = (
            float(base.pool()) if chosen.setting == "alpha" else chosen.example
        )
    recipe = replace(base, loss=loss, num_negatives=num_negatives, **{**settings, **changes})
    return Row(recipe, suffix, remark)


def equals(name: str, statement: str, left: Row, right: Row, **about: Any) -> Claim:
    """The rows differ by less than what matters; `about` are other fields of the claim."""
    whole = f"{statement}, within {RELEVANT} points"
    return Claim(name, whole, (left, right), -RELEVANT, RELEVANT, **about)


def beats(name: str, statement: str, left: Row, right: Row, **about: Any) -> Claim:
    """The left row is more accurate."""
    return Claim(name, statement, (left, right), 0.0, math.inf, **about)


def not_worse(name: str, statement: str, left: Row, right: Row, **about: Any) -> Claim:
    """The left row is not worse by as much as matters."""
    whole = f"{statement}, by a margin of {RELEVANT} points"
    return Claim(name, whole, (left, right), -RELEVANT, math.inf, **about)


def recovers(name: str, eqco: Row, few: Row, full: Row) -> Claim:
    """EqCo recovers at least half of what InfoNCE loses with few negatives.

    Args:
        name: of the claim.
        eqco, few: EqCo and InfoNCE with the same few negatives.
        full: all negatives.
    """
    k, all_negatives = few.recipe.num_negatives, full.recipe.num_negatives
    statement = (
        f"EqCo with K={k} recovers at least half of what InfoNCE loses with {k} of "
        f"{all_negatives} negatives"
    )
    return Claim(name, statement, (eqco, few, full), 0.0, math.inf, weights=(1.0, -0.5, -0.5))


def against_full(
    pairs: Sequence[tuple[Row, Row]], infonce_full: Row, eqco_full: Row, prefix: str = ""
) -> list[Claim]:
    """Four claims for each K below full K, which together test claim C1 of the paper.

    Args:
        pairs: InfoNCE and EqCo at each K below full K.
        infonce_full: InfoNCE with all negatives.
        eqco_full: EqCo with all negatives; InfoNCE where alpha is K there.
        prefix: of the names.
    """
    full, claims = infonce_full.recipe.num_negatives, []
    for few, eqco in pairs:
        k = few.recipe.num_negatives
        by_aspect = {
            "recovers": recovers(f"{prefix}eqco-k{k}-recovers", eqco, few, eqco_full),
            "level": not_worse(
                f"{prefix}eqco-k{k}-equals-full",
                f"EqCo with K={k} is as accurate as with all {full} negatives",
                eqco,
                eqco_full,
                infonce=(few, infonce_full),
            ),
            "falls": beats(
                f"{prefix}infonce-k{k}-drops",
                f"InfoNCE with K={k} is less accurate than with all {full} negatives",
                infonce_full,
                few,
            ),
            "better": beats(
                f"{prefix}eqco-beats-infonce-k{k}",
                f"EqCo with K={k} is more accurate than InfoNCE with K={k}",
                eqco,
                few,
            ),
        }
        claims += [replace(c, paper="C1", aspect=aspect) for aspect, c in by_aspect.items()]
    return claims
