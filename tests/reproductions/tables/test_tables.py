"""Tables: rows, claims and their names, at every scale."""

from __future__ import annotations

from dataclasses import fields

import pytest

from eqco.methods import METHODS
from eqco.recipe import Recipe
from reproductions.scales import SCALES
from reproductions.tables import TABLES, table
from reproductions.tables.base import Row, equals

EVERY_TABLE = [(number, scale) for scale in SCALES for number in TABLES]


def test_rows_of_table_1_differ_from_the_baseline_in_loss_k_and_alpha_alone() -> None:
    base = SCALES["glyphs"].base
    for row in table(1, "glyphs").rows:
        different = {
            each.name
            for each in fields(Recipe)
            if getattr(base, each.name) != getattr(row.recipe, each.name)
        }
        assert different <= {"loss", "num_negatives", "alpha"}


@pytest.mark.parametrize(("number", "scale"), EVERY_TABLE)
def test_every_claim_is_about_two_rows_of_its_table(number: int, scale: str) -> None:
    found = table(number, scale)
    assert found.claims
    for claim in found.claims:
        assert {claim.left, claim.right} <= set(found.rows)
        assert claim.left.recipe != claim.right.recipe
        assert found.claim(claim.name) is claim


@pytest.mark.parametrize(("number", "scale"), EVERY_TABLE)
def test_names_of_rows_and_claims_are_unique(number: int, scale: str) -> None:
    found = table(number, scale)
    for parts in (found.rows, found.claims):
        names = [part.name for part in parts]
        assert len(names) == len(set(names))
    assert len({row.recipe for row in found.rows}) == len(found.rows)


@pytest.mark.parametrize(
    ("number", "row"),
    [
        (1, "simo-eqco-k16"),
        (2, "moco-infonce-k1024"),
        (3, "simclr-infonce-k510"),
        (4, "simo-eqco-k16-alpha256"),
        (5, "simo-dual_temperature-k255"),
        (6, "simo-eqco-k16-shared"),
        (6, "simo-eqco-k16-independent"),
    ],
)
def test_row_ids_are_those_of_published_results(number: int, row: str) -> None:
    assert table(number, "glyphs").row(row).name == row


@pytest.mark.parametrize(
    ("number", "claim", "left", "right"),
    [
        (1, "infonce-k16-drops", "simo-infonce-k255", "simo-infonce-k16"),
        (1, "eqco-k16-equals-full", "simo-eqco-k16", "simo-eqco-k255"),
        (2, "moco-eqco-k16-equals-full", "moco-eqco-k16", "moco-infonce-k1024"),
        (3, "simo-k16-holds-up-to-moco", "simo-eqco-k16", "moco-infonce-k1024"),
        (4, "alpha256-beats-alpha16-k16", "simo-eqco-k16-alpha256", "simo-eqco-k16-alpha16"),
        (5, "dcl-equals-eqco-k16", "simo-dcl-k16", "simo-eqco-k16"),
        (
            6,
            "eqco-k16-independent-beats-shared",
            "simo-eqco-k16-independent",
            "simo-eqco-k16-shared",
        ),
    ],
)
def test_claim_ids_are_those_of_published_results(
    number: int, claim: str, left: str, right: str
) -> None:
    found = table(number, "glyphs").claim(claim)
    assert (found.left.name, found.right.name) == (left, right)


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("method", METHODS)
def test_a_baseline_is_infonce_with_all_negatives(method: str, scale: str) -> None:
    full = SCALES[scale].baseline(method)
    assert (full.method, full.loss) == (method, "infonce")
    assert full.num_negatives == full.available()


@pytest.mark.parametrize("scale", SCALES)
def test_k_and_alpha_of_a_scale_ascend_and_fit_its_batch(scale: str) -> None:
    found = SCALES[scale]
    assert found.base.batch_size in found.alphas
    for values in (found.alphas, *found.below.values()):
        assert list(values) == sorted(set(values))
    for method, below in found.below.items():
        assert below[-1] < found.baseline(method).num_negatives


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
