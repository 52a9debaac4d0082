"""The closing table says what was measured, and does not invent what was not."""

from pathlib import Path

import pytest

from eqco import record as records
from eqco import report
from eqco.recipe import Machine, Recipe

PAPER = Path(__file__).parent.parent / "reproductions" / "paper"


def record_of(recipe: Recipe, seed: int, linear: float) -> records.Record:
    """A record with the fields that tables read."""
    return records.make(
        recipe,
        seed,
        Machine(),
        records.now(),
        metrics={"linear": linear, "knn": 70.0, "class_mean": 50.0},
        diagnostics={"cv2": 7.0, "one_minus_pi0": 0.8},
        seconds={"train": 40.0, "probe": 5.0, "wall": 46.0},
        note="drawn by another library",
    )


def cell(loss: str, num_negatives: int, accuracies: list[float]) -> report.Cell:
    """A cell with one record a seed."""
    alpha = 256.0 if loss == "eqco" else None
    recipe = Recipe(loss=loss, num_negatives=num_negatives, alpha=alpha)
    measured = {seed: record_of(recipe, seed, value) for seed, value in enumerate(accuracies)}
    return report.Cell(recipe, report.NOT_VERIFIED, measured, "passed" if measured else "not run")


def closing(cells: list[report.Cell]) -> str:
    """The closing text at 80 columns without colour."""
    return report.closing(1, "glyphs", cells, [], width=80, colour=False)


def test_closing_table_fits_80_columns_and_carries_no_escape_codes() -> None:
    text = closing([cell("infonce", 255, [85.0, 86.0]), cell("eqco", 16, [84.0, 85.0])])
    assert max(len(line) for line in text.splitlines()) <= 80
    assert "\x1b" not in text


def test_closing_table_shows_mean_spread_count_and_paired_difference() -> None:
    text = closing([cell("infonce", 255, [85.0, 86.0]), cell("eqco", 16, [84.0, 85.0])])
    assert "85.5 ± 0.7 (2)" in text
    assert "-1.0" in text


def test_closing_table_keeps_every_column_at_80_columns() -> None:
    text = closing([cell("infonce", 255, [85.0, 86.0]), cell("eqco", 16, [84.0, 85.0])])
    head = next(line for line in text.splitlines() if "published" in line)
    for title in ("loss", "K", "linear %", "kNN", "Δ base", "time", "status"):
        assert f" {title} " in f" {head} "
    assert "…" not in text


@pytest.mark.parametrize(
    "recipe",
    [
        Recipe(loss="eqco", num_negatives=255, alpha=65536),
        Recipe(loss="dual_temperature", second_temperature=1.0),
        Recipe(drawing="shared", num_negatives=16),
        Recipe(method="moco", queue_size=65536, num_negatives=65536),
        Recipe(method="simclr", num_negatives=510),
    ],
    ids=["alpha", "dual", "shared", "moco", "simclr"],
)
def test_rows_of_every_table_fit_80_columns_uncut(recipe: Recipe) -> None:
    suffix = {"shared": "-shared"}.get(
        recipe.drawing, f"-alpha{recipe.alpha:g}" if recipe.alpha else ""
    )
    name = f"{recipe.method}-{recipe.loss}-k{recipe.num_negatives}{suffix}"
    measured = {seed: record_of(recipe, seed, 85.0 + seed) for seed in range(10)}
    text = closing([report.Cell(recipe, report.NOT_VERIFIED, measured, "not run", name)])
    assert max(len(line) for line in text.splitlines()) <= 80
    assert "…" not in text
    assert "not verified" in text
    assert "(10)" in text


def test_closing_table_counts_only_what_was_measured() -> None:
    text = closing([cell("infonce", 255, [85.0]), cell("eqco", 16, []), cell("eqco", 4, [])])
    assert "table 1: 1 of 3 cells measured" in text
    assert "not run" in text


def test_closing_table_repeats_the_notes_of_its_records() -> None:
    assert "drawn by another library" in closing([cell("infonce", 255, [85.0])])


def test_difference_uses_only_seeds_both_rows_have() -> None:
    base, other = cell("infonce", 255, [85.0, 100.0]), cell("eqco", 16, [84.0])
    assert report.difference(other, base) == "-1.0"
    assert report.difference(base, base) == ""


def test_frame_names_an_untrained_run_untrained() -> None:
    lines = report.frame([record_of(Recipe(epochs=0), 0, 60.0), record_of(Recipe(), 0, 85.0)])
    assert list(lines["loss"]) == ["untrained", "infonce"]


@pytest.mark.parametrize(("seconds", "text"), [(41, "41 s"), (720, "12 min"), (11520, "3.2 h")])
def test_durations_read_like_speech(seconds: float, text: str) -> None:
    assert report.duration(seconds) == text


def test_every_published_number_has_a_source() -> None:
    import csv

    with (PAPER / "published.csv").open(encoding="utf-8", newline="") as stream:
        lines = list(csv.DictReader(stream))
    assert lines
    for line in lines:
        assert line["source"], line
        assert line["confidence"] == "stated", line
        assert 0 < float(line["value"]) < 100


def test_published_values_are_found_by_table_and_metric() -> None:
    assert report.published(PAPER, 1)["simo-infonce-k255"] == "68.036"
    assert "simo-eqco-k16" not in report.published(PAPER, 1)
