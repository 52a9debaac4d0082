"""Tables 7 to 10: what their rows vary, what was predicted of their claims."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import fields
from itertools import pairwise, product

import pytest

from eqco.losses.registry import LOSSES
from eqco.recipe import Recipe
from reproductions.scales import SCALES
from reproductions.tables import table, table7, table8, table9, table10
from reproductions.tables.base import Row

NEW = (7, 8, 9, 10)
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
def test_noise_claims_compare_neighbouring_numbers_of_draws(scale: str) -> None:
    tested = table(7, scale)
    claims = [claim for claim in tested.claims if "-beats-draws" in claim.name]
    for claim in claims:
        more, fewer = claim.left.recipe, claim.right.recipe
        assert (more.loss, more.num_negatives) == (fewer.loss, fewer.num_negatives)
        assert more.draws > fewer.draws
    by_row: dict[tuple[str, int], list[int]] = defaultdict(list)
    for row in tested.rows:
        by_row[row.recipe.loss, row.recipe.num_negatives].append(row.recipe.draws)
    assert len(claims) == sum(len(list(pairwise(draws))) for draws in by_row.values())


@EVERY_SCALE
def test_bias_claims_of_table_7_take_the_most_draws(scale: str) -> None:
    tested = table(7, scale)
    most = max(row.recipe.draws for row in tested.rows if row.recipe.num_negatives == 16)
    for name in ("jackknife-beats-eqco-k16-averaged", "jackknife-k16-averaged-equals-full"):
        claim = tested.claim(name)
        assert (claim.left.recipe.loss, claim.left.recipe.draws) == ("eqco_jackknife", most)
    left = tested.claim("jackknife-beats-eqco-k16-averaged").right.recipe
    full = tested.claim("jackknife-k16-averaged-equals-full").right.recipe
    assert (left.loss, left.num_negatives, left.draws) == ("eqco", 16, most)
    every = SCALES[scale].base.num_negatives
    assert (full.loss, full.num_negatives, full.draws) == ("eqco", every, 1)


@EVERY_SCALE
def test_claims_of_table_8_compare_a_loss_with_the_one_it_corrects_at_the_same_k(
    scale: str,
) -> None:
    tested, base = table(8, scale), SCALES[scale].base
    for claim in tested.claims:
        corrected, plain = claim.left.recipe, claim.right.recipe
        assert LOSSES[corrected.loss].corrects == plain.loss
        assert corrected.num_negatives == plain.num_negatives < base.num_negatives
        assert corrected.num_negatives >= LOSSES[corrected.loss].fewest
        assert corrected.alpha == plain.alpha
    assert {claim.left.recipe.loss for claim in tested.claims} == {
        name for name, loss in LOSSES.items() if loss.corrects
    }
    counts = {claim.num_negatives for claim in tested.claims}
    assert counts == {k for k in table8.COUNTS if k < base.num_negatives}


@EVERY_SCALE
def test_table_9_has_both_losses_at_every_k_and_temperature(scale: str) -> None:
    tested, base = table(9, scale), SCALES[scale].base
    counts = (*SCALES[scale].below["simo"], base.num_negatives)
    cells = [(r.recipe.loss, r.recipe.num_negatives, r.recipe.temperature) for r in tested.rows]
    expected = product(("infonce", "eqco"), counts, table9.TEMPERATURES)
    assert sorted(cells) == sorted(expected)
    assert base.temperature in table9.TEMPERATURES
    for claim in tested.claims:
        full, few = claim.left.recipe, claim.right.recipe
        assert (full.loss, few.loss) == ("eqco", "eqco")
        assert few.num_negatives < full.num_negatives == base.num_negatives
        assert few.temperature == full.temperature
    assert len(tested.claims) == (len(counts) - 1) * len(table9.TEMPERATURES)


@EVERY_SCALE
def test_schedules_of_table_10_are_a_third_to_nine_times_the_usual_epochs(scale: str) -> None:
    base, tested = SCALES[scale].base, table(10, scale)
    gaps = [claim for claim in tested.claims if claim.name.startswith("eqco-k16-drops")]
    epochs = [claim.left.recipe.epochs for claim in gaps]
    assert epochs == [max(1, round(base.epochs * each)) for each in table10.STRETCH]
    assert base.epochs in epochs
    for claim in gaps:
        full, few = claim.left.recipe, claim.right.recipe
        assert (few.num_negatives, full.num_negatives) == (16, base.num_negatives)
        settings = (few.loss, few.epochs, few.learning_rate)
        assert settings == ("eqco", full.epochs, base.learning_rate)


@EVERY_SCALE
def test_rivals_of_table_10_have_three_rates_and_are_judged_at_that_of_the_baseline(
    scale: str,
) -> None:
    tested = table(10, scale)
    for method, loss in table10.RIVALS:
        usual = SCALES[scale].baseline(method).learning_rate
        recipes = [row.recipe for row in tested.rows]
        rates = [r.learning_rate for r in recipes if (r.method, r.loss) == (method, loss)]
        assert rates == pytest.approx([usual * factor for factor in table10.RATES])
        claim = tested.claim(f"{method}-{loss}-equals-eqco-k16")
        rival, plain = claim.left.recipe, claim.right.recipe
        assert (rival.method, rival.loss, plain.loss) == (method, loss, "eqco")
        assert plain.method == ("moco" if method == "synco" else method)
        assert (rival.num_negatives, plain.num_negatives) == (16, 16)
        assert rival.learning_rate == usual
        assert plain.learning_rate == SCALES[scale].baseline(plain.method).learning_rate
        assert rival.epochs == plain.epochs == SCALES[scale].base.epochs
    eqco = [
        r.recipe for r in tested.rows if (r.recipe.loss, r.recipe.num_negatives) == ("eqco", 16)
    ]
    for method in ("simo", "moco"):
        usual = SCALES[scale].baseline(method)
        rates = {r.learning_rate for r in eqco if (r.method, r.epochs) == (method, usual.epochs)}
        assert sorted(rates) == pytest.approx([usual.learning_rate * f for f in table10.RATES])


def test_a_rate_of_three_digits_is_judged_as_it_is() -> None:
    tested = table(10, "glyphs", Recipe(learning_rate=0.125))
    for claim in tested.claims:
        assert claim.left.recipe.learning_rate == claim.right.recipe.learning_rate == 0.125
