"""Tables 7 to 10: what their rows vary, what was predicted of their claims."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import fields

import pytest

from eqco.recipe import Recipe
from reproductions.scales import SCALES
from reproductions.tables import table, table7
from reproductions.tables.base import Row

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


@pytest.mark.parametrize(
    ("k", "available", "draws"),
    [(16, 255, [1, 4, 15]), (4, 255, [1, 16, 60]), (16, 63, [1, 3]), (4, 63, [1, 12]),
     (16, 64, [1, 4]), (16, 80, [1, 4, 5]), (4, 17, [1, 4])],
)  # fmt: skip
def test_numbers_of_draws(k: int, available: int, draws: list[int]) -> None:
    assert table7.draw_counts(k, available) == draws
    assert all(k * each <= available for each in draws)


@EVERY_SCALE
@pytest.mark.parametrize("number", NEW)
def test_rows_of_a_claim_differ_in_what_it_is_about_alone(number: int, scale: str) -> None:
    for claim in table(number, scale).claims:
        assert varied([claim.left], claim.right.recipe) in ABOUT[number], claim.name


def test_a_rate_of_three_digits_is_judged_as_it_is() -> None:
    tested = table(10, "glyphs", Recipe(learning_rate=0.125))
    for claim in tested.claims:
        assert claim.left.recipe.learning_rate == claim.right.recipe.learning_rate == 0.125
