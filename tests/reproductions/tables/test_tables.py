"""Tables: rows, claims and their names, at every scale."""

from __future__ import annotations

import pytest

from eqco.recipe import Recipe
from reproductions.scales import SCALES
from reproductions.tables import TABLES, table
from reproductions.tables.base import Row, equals

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
