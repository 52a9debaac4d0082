"""Scales, and tables: rows, claims and their names, at every scale; verdicts; text."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import fields, replace

import pandas as pd
import pytest

from eqco.methods import METHODS
from eqco.recipe import Recipe
from reproductions.scales import SCALES
from reproductions.statistics.verdicts import FAILS, HOLDS, OPEN
from reproductions.tables import TABLES, table
from reproductions.tables.base import Row, Table, beats, equals, not_worse, recovers, with_loss
from reproductions.tables.claims import (
    PRIMARY,
    SECOND_METRIC,
    judge_claims,
    seed_counts,
    tally,
)
from reproductions.tables.formats import FORMATS, Grid, fitting, rendered

EVERY_TABLE = [(number, scale) for scale in SCALES for number in TABLES]


@pytest.mark.parametrize(("number", "scale"), EVERY_TABLE)
def test_every_claim_is_about_two_rows_of_its_table(number: int, scale: str) -> None:
    tested = table(number, scale)
    assert tested.claims
    for claim in tested.claims:
        assert {claim.left, claim.right} <= set(tested.rows)
        assert claim.left.recipe != claim.right.recipe
        assert tested.claim(claim.name) is claim


@pytest.mark.parametrize(("number", "scale"), EVERY_TABLE)
def test_names_of_rows_and_claims_are_unique(number: int, scale: str) -> None:
    tested = table(number, scale)
    for parts in (tested.rows, tested.claims):
        assert len({part.name for part in parts}) == len(parts)
    assert len({row.recipe for row in tested.rows}) == len(tested.rows)


@pytest.mark.parametrize("number", TABLES)
def test_a_table_uses_the_data_of_its_base(number: int) -> None:
    base = Recipe(weight_decay=0.05)
    assert {row.recipe.weight_decay for row in table(number, "glyphs", base).rows} == {0.05}


def test_a_claim_is_judged_on_the_seeds_that_both_rows_have() -> None:
    claim = equals("same", "they agree", Row(Recipe()), Row(Recipe(num_negatives=16)))
    values = {255: {0: 80.0, 1: 81.0, 2: 99.0}, 16: {1: 81.0, 0: 80.0, 3: 0.0}}
    verdict = claim.judge(lambda row: values[row.recipe.num_negatives], range(4), 1)
    assert (verdict.n, verdict.mean) == (2, 0.0)
    apart = {255: {0: 80.0}, 16: {1: 80.0}}
    assert claim.judge(lambda row: apart[row.recipe.num_negatives], range(4), 1) is None
    assert claim.num_negatives == 16


# Scales: each has a baseline of each method.


@pytest.mark.parametrize("name", sorted(SCALES))
def test_the_baseline_of_a_scale_is_info_nce_with_all_negatives(name: str) -> None:
    scale = SCALES[name]
    assert scale.baseline("simo") == scale.base
    assert scale.base.num_negatives == scale.base.batch_size - 1
    for method in METHODS:
        baseline = scale.baseline(method)
        assert (baseline.method, baseline.loss) == (method, "infonce")
        assert baseline.num_negatives == baseline.available()
        assert scale.below[method][-1] < baseline.num_negatives
    for values in (scale.alphas, *scale.below.values()):
        assert list(values) == sorted(set(values))
    assert scale.base.batch_size in scale.alphas


# Tables 7 to 10: what their rows vary, what was predicted of their claims.


NEW = (7, 8, 9, 10)
ABOUT = {  # fields in which two rows that a claim compares may differ
    7: ({"draws"}, {"draws", "num_negatives"}, {"loss"}, {"draws", "num_negatives", "loss"}),
    8: ({"loss"},),
    9: ({"num_negatives"},),
    10: (
        {"num_negatives"},
        {"loss", "alpha", "hardness"},
        {"loss", "alpha", "sog_gamma"},
        {"loss", "alpha", "method", "num_synthetic"},
    ),
}
EVERY_SCALE = pytest.mark.parametrize("scale", SCALES)


def varied(rows: Iterable[Row], base: Recipe) -> set[str]:
    """Fields in which some row differs from the baseline."""
    return {
        each.name
        for each in fields(Recipe)
        for row in rows
        if getattr(row.recipe, each.name) != getattr(base, each.name)
    }


@pytest.mark.parametrize("number", NEW)
def test_every_claim_was_predicted_at_glyphs(number: int) -> None:
    for claim in table(number, "glyphs").claims:
        assert -1 < claim.predicted < 10  # points


@EVERY_SCALE
@pytest.mark.parametrize("number", NEW)
def test_every_row_has_a_claim_or_is_a_rate_or_a_draw_beside_one(number: int, scale: str) -> None:
    tested = table(number, scale)
    claimed = {row for claim in tested.claims for row in (claim.left, claim.right)}
    idle = [row for row in tested.rows if row not in claimed]
    assert all(row.recipe.loss == "infonce" or "rate" in row.suffix for row in idle)


@EVERY_SCALE
@pytest.mark.parametrize(("number", "own"), [(1, set()), (7, {"draws"}), (8, set())])
def test_rows_vary_loss_k_and_alpha_and_those_of_table_7_draws(
    number: int, own: set[str], scale: str
) -> None:
    base, rows = SCALES[scale].base, table(number, scale).rows
    assert varied(rows, base) == {"loss", "num_negatives", "alpha"} | own
    if number == 7:
        assert {row.recipe.alpha for row in rows} == {float(base.batch_size)}


@EVERY_SCALE
@pytest.mark.parametrize("number", NEW)
def test_rows_of_a_claim_differ_in_what_it_is_about_alone(number: int, scale: str) -> None:
    for claim in table(number, scale).claims:
        assert varied([claim.left], claim.right.recipe) in ABOUT[number], claim.name


def test_a_rate_of_three_digits_is_judged_as_it_is() -> None:
    tested = table(10, "glyphs", Recipe(learning_rate=0.125))
    for claim in tested.claims:
        assert claim.left.recipe.learning_rate == claim.right.recipe.learning_rate == 0.125


# Verdicts on the claims of a table: two metrics, one primary claim.


FULL, FEW = Row(Recipe()), Row(Recipe(num_negatives=16))
EQCO = with_loss(Recipe(), "eqco", 16)
TABLE = Table(
    "a table",
    (FULL, FEW, EQCO),
    (
        beats("drops", "full is more accurate", FULL, FEW),
        recovers("recovers", EQCO, FEW, FULL),
        not_worse("level", "EqCo is as accurate", EQCO, FULL, infonce=(FEW, FULL)),
    ),
    primary="drops",
    planned=4,
)
LOSSES = {FULL: [0.0] * 4, FEW: [2.1, 1.9, 2.0, 2.0], EQCO: [0.2, 0.1, 0.1, 0.2]}


def values(row: Row, metric: str) -> dict[int, float]:
    """InfoNCE loses two points and EqCo few of them; by the other metric nothing is lost."""
    losses = LOSSES[row] if metric == PRIMARY else [0.0, 0.1, 0.0, 0.1]
    return {seed: 80 + seed - loss for seed, loss in enumerate(losses)}


def test_claims_are_judged_on_each_metric_by_itself() -> None:
    found = judge_claims(TABLE, values)
    linear = {name: verdicts[PRIMARY].status for name, verdicts in found.items()}
    assert linear == {"drops": HOLDS, "recovers": HOLDS, "level": HOLDS}
    knn = {name: verdicts[SECOND_METRIC] for name, verdicts in found.items()}
    assert [knn[name].status for name in ("drops", "recovers", "level")] == [OPEN] * 3
    assert knn["level"].passed_by_infonce


def test_the_primary_claim_has_a_narrower_interval_than_as_a_secondary_one() -> None:
    other = replace(TABLE, primary="level")
    widths = []
    for judged in (TABLE, other):
        verdict = judge_claims(judged, values)["drops"][PRIMARY]
        widths.append(verdict.high - verdict.low)
    assert widths[0] < widths[1]


def test_a_claim_is_open_before_its_planned_seeds_and_without_verdict_without_runs() -> None:
    early = judge_claims(replace(TABLE, planned=5), values)["drops"][PRIMARY]
    assert (early.status, early.n, early.planned) == (OPEN, 4, 5)

    def some(row: Row, metric: str) -> dict[int, float]:
        return {} if row is EQCO else values(row, metric)

    found = judge_claims(TABLE, some)
    assert found["recovers"] == found["level"] == {}
    assert found["drops"][PRIMARY].status == HOLDS


def test_a_claim_says_what_is_subtracted_from_what() -> None:
    assert [claim.difference for claim in TABLE.claims] == [
        "InfoNCE 255 − InfoNCE 16",
        "EqCo 16 − mean of InfoNCE 16 and InfoNCE 255",
        "EqCo 16 − InfoNCE 255",
    ]


def test_tally_counts_every_kind_of_verdict_and_seeds_are_a_number_or_a_range() -> None:
    verdicts = [each[PRIMARY] for each in judge_claims(TABLE, values).values()]
    verdicts[0] = replace(verdicts[0], status=FAILS)
    assert tally(verdicts) == "2 hold, 1 do not hold, 0 are open"
    assert seed_counts(verdicts) == "n=4"
    assert seed_counts([replace(verdicts[0], n=3), *verdicts]) == "n=3 to 4"


# Tables of text: what is escaped, aligned and left out; tests/faults has texts of every kind.


LINES = (("a & b_c <i>", "86.1 ± 0.3 (5)"), ('x|y, "z"', "–"))
FRAME = pd.DataFrame(LINES, columns=["loss", "linear %"])
GRID = Grid(FRAME, ["linear %"], "Table 1: 100 %", "A note.")


def test_markdown_escapes_bars_and_latex_its_own_characters() -> None:
    assert r"x\|y" in rendered([GRID], "md")
    assert r"b\_c \<i\>" in rendered([GRID], "md")
    text = rendered([GRID], "latex")
    assert r"a \& b\_c \textless{}i\textgreater{} & 86.1 $\pm$ 0.3 (5) \\" in text
    assert r"p{0.36\linewidth}r@{}}" in text
    assert r"\caption{100 \%. A note.}" in text
    assert r"\label{tab:table-1-100}" in text
    braces = Grid(pd.DataFrame({"a": ["\\{}"]}))
    assert r"\textbackslash{}\{\} \\" in rendered([braces], "latex")


@pytest.mark.parametrize("form", FORMATS)
def test_several_tables_are_one_document(form: str) -> None:
    text = rendered([GRID, GRID], form)
    assert text.count("86.1") == 2


def test_columns_that_do_not_fit_go_in_their_order_and_the_others_stay() -> None:
    grid = Grid(pd.DataFrame({"a": ["x" * 30], "b": ["x" * 20], "c": ["x" * 20], "d": ["x" * 9]}))
    for width, titles in ((82, "abcd"), (81, "acd"), (60, "ad"), (20, "ad")):
        assert "".join(fitting(grid, width, "bc").header) == titles
