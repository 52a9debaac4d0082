"""Published numbers: each has a source, and belongs to a row or says what it is of."""

from __future__ import annotations

import csv
import re

import pytest

from reproductions.results.published import (
    FILE,
    NOT_VERIFIED,
    Published,
    number_for,
    published,
    published_text,
)
from reproductions.tables import TABLES, table


def test_every_published_number_is_stated_by_a_source() -> None:
    with FILE.open(encoding="utf-8", newline="") as stream:
        found = {(bool(line["source"]), line["confidence"]) for line in csv.DictReader(stream)}
    assert found == {(True, "stated")}


@pytest.mark.parametrize("number", published(), ids=lambda number: number.row or number.of)
def test_a_number_has_method_and_k_of_its_row_or_of_the_text_that_says_what_it_is_of(
    number: Published,
) -> None:
    assert number.table in TABLES
    assert bool(number.row) != bool(number.of)
    if number.row:
        rows = [row for scale in ("imagenet", "glyphs") for row in table(number.table, scale).rows]
        recipes = [row.recipe for row in rows if row.name == number.row]
        settings = {(recipe.method, recipe.num_negatives) for recipe in recipes}
        assert settings == {(number.method, number.num_negatives)}
    else:
        stated = re.search(r"K=(\d+)", number.of)
        assert number.num_negatives == (int(stated[1]) if stated else None)


def test_published_values_are_found_by_table_row_and_metric() -> None:
    assert published_text(1, "simo-infonce-k255") == "68.036"
    assert published_text(1, "simo-eqco-k16") == NOT_VERIFIED
    top5 = number_for(1, "simo-infonce-k255", "top5")
    assert top5.value == "88.518"


def test_rows_with_a_published_number_at_the_scale_of_the_paper() -> None:
    found = {
        (number, row.name): number_for(number, row.name)
        for number in TABLES
        for row in table(number, "imagenet").rows
    }
    known = {case: float(number.value) for case, number in found.items() if number}
    assert known == {
        (1, "simo-infonce-k255"): 68.036,
        (2, "simclr-infonce-k510"): 67.286,
        (3, "simo-infonce-k255"): 68.036,
        (3, "simclr-infonce-k510"): 67.286,
        (3, "moco-infonce-k65536"): 67.5,
    }
    moco = found[3, "moco-infonce-k65536"]
    assert moco.trials == 5
