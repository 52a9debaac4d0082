"""The closing table shows measured cells with their spread, and marks the others "not run"."""

from __future__ import annotations

import io
from dataclasses import replace

import pytest
from rich.console import Console

from eqco.artifacts.record import Record, now
from eqco.config import Machine
from eqco.recipe import Recipe
from reproductions.reports import terminal
from reproductions.reports.terminal import Judged, claim_grid, counts, heading
from reproductions.results.published import NOT_VERIFIED, numbers_without_row
from reproductions.statistics.verdicts import FAILS, HOLDS, OPEN, Verdict
from reproductions.tables.base import Row
from reproductions.tables.claims import JUDGED, Verdicts
from reproductions.tables.formats import in_terminal, spread


def make_record(recipe: Recipe, seed: int, linear: float) -> Record:
    """A record with the fields that tables read."""
    return Record.of(
        recipe,
        seed,
        Machine(),
        now(),
        metrics={"linear": linear, "knn": 70.0, "class_mean": 50.0},
        diagnostics={"cv2": 7.0, "one_minus_pi0": 0.8},
        seconds={"train": 40.0, "probe": 5.0, "wall": 46.0},
        note="drawn by another library",
    )


def make_cell(row: Row, accuracies: list[float], status: str = "passed") -> terminal.Cell:
    """A cell with one record a seed."""
    measured = {seed: make_record(row.recipe, seed, value) for seed, value in enumerate(accuracies)}
    return terminal.Cell(row, NOT_VERIFIED, measured, status if measured else "not run")


def cell(loss: str, num_negatives: int, accuracies: list[float]) -> terminal.Cell:
    """A cell of SiMo."""
    alpha = 256.0 if loss == "eqco" else None
    return make_cell(Row(Recipe(loss=loss, num_negatives=num_negatives, alpha=alpha)), accuracies)


def closing(cells: list[terminal.Cell]) -> str:
    """The closing text at 80 columns without colour."""
    return terminal.closing(1, "glyphs", cells, [], width=80, colour=False)


@pytest.fixture
def two_cells() -> list[terminal.Cell]:
    """InfoNCE at full K and EqCo at K = 16, with two seeds each."""
    return [cell("infonce", 255, [85.0, 86.0]), cell("eqco", 16, [84.0, 85.0])]


def test_closing_table_has_mean_spread_count_paired_difference_and_notes_once(
    two_cells: list[terminal.Cell],
) -> None:
    text = closing(two_cells)
    assert max(len(line) for line in text.splitlines()) <= 80
    assert "\x1b" not in text
    head = next(line for line in text.splitlines() if "linear %" in line).split()
    titles = ["loss", "K", "linear", "%", "kNN", "published", "Δ", "base", "time", "status"]
    assert head == titles
    assert "85.5 ± 0.7 (2)" in text
    assert "-1.0" in text
    assert text.count("note: drawn by another library") == 1


@pytest.mark.parametrize("beside", [False, True], ids=["alone", "beside the evidence"])
@pytest.mark.parametrize(
    "row",
    [
        Row(Recipe(loss="eqco", num_negatives=255, alpha=65536), "-alpha65536", "alpha65536"),
        Row(Recipe(loss="dual_temperature", second_temperature=1.0)),
        Row(Recipe(method="moco", queue_size=65536, num_negatives=65536)),
    ],
    ids=["alpha", "dual", "moco"],
)
def test_the_widest_rows_fit_80_columns_uncut(row: Row, beside: bool) -> None:
    wide = make_cell(row, [85.0 + seed for seed in range(10)], "9 of 10")
    evidence = tuple(80.0 + seed for seed in range(10))
    shown = replace(wide, evidence=evidence, predicted=(78.0, 99.0)) if beside else wide
    text = closing([shown])
    assert max(len(line) for line in text.splitlines()) <= 80
    assert "…" not in text
    assert row.title in text
    assert "(10)" in text
    assert ("78.0–99.0 yes" in text) is beside


def test_closing_table_counts_only_measured_cells() -> None:
    text = closing([cell("infonce", 255, [85.0]), cell("eqco", 16, []), cell("eqco", 4, [])])
    assert "table 1: 1 of 3 cells measured" in text
    assert "not run" in text


def test_closing_table_groups_cells_by_method() -> None:
    moco = Row(Recipe(method="moco", queue_size=512, num_negatives=512))
    text = closing([cell("infonce", 255, [85.0]), make_cell(moco, [80.0])])
    assert "Table 1 (moco, simo) at scale glyphs" in text
    assert {"SiMo", "MoCo v2"} <= {line.strip() for line in text.splitlines()}


def test_closing_table_shows_claims_and_numbers_of_no_row(two_cells: list[terminal.Cell]) -> None:
    claim = Judged("infonce-beats-eqco", verdicts(HOLDS, n=3), {})
    text = terminal.closing(
        1, "glyphs", two_cells, [claim],
        width=80, colour=False, unmatched=numbers_without_row(1),
    )  # fmt: skip
    assert text.count("infonce-beats-eqco") == 1
    assert "-1.2 [-1.8, -0.7]" in text
    assert "\nclaims: 1 hold, 0 do not hold" in text
    for number in numbers_without_row(1):
        assert f"published for {number.of}: {number.value}" in text


def test_difference_uses_only_seeds_that_both_rows_have() -> None:
    base, other = cell("infonce", 255, [85.0, 100.0]), cell("eqco", 16, [84.0])
    assert terminal.difference(other, base) == "-1.0"
    assert terminal.difference(base, base) == ""
    assert terminal.difference(cell("eqco", 4, []), base) == ""


@pytest.mark.parametrize(
    ("values", "text"), [([], "–"), ([85.04], "85.0 (1)"), ([84.0, 86.0], "85.0 ± 1.4 (2)")]
)
def test_spread_is_the_mean_with_its_standard_deviation(values: list[float], text: str) -> None:
    assert spread(values) == text


def beside_evidence(accuracies: list[float], status: str = "passed", k: int = 16) -> terminal.Cell:
    """A cell with committed runs around 84 and a prediction of 83 to 85."""
    made = cell("eqco", k, accuracies)
    return replace(made, status=status, evidence=(83.9, 84.1), predicted=(83.0, 85.0))


def test_rows_stand_beside_the_evidence_and_what_it_predicts() -> None:
    text = closing([beside_evidence([84.2]), beside_evidence([84.2, 85.1], k=64)])
    inside, outside = text.splitlines()[3:5]
    assert "84.2 (1)" in inside
    assert "84.0 ± 0.1 (2) 83.0–85.0 yes" in inside
    assert "84.0 ± 0.1 (2) 83.0–85.0 no" in outside
    assert "your 3 runs agree with the evidence in 1 of 2 cells" in text


def test_a_cell_without_runs_or_without_evidence_is_not_compared() -> None:
    assert beside_evidence([]).agrees is None
    assert cell("eqco", 16, [84.0]).agrees is None
    text = closing([beside_evidence([84.0]), beside_evidence([], "not run", 4)])
    assert "your run agrees with the evidence in 1 of 1 cells" in text
    assert "agree" not in closing([cell("eqco", 16, [84.0])])


def verdicts(status: str, n: int = 5, *, passed: bool = False) -> Verdicts:
    """The same verdict on every metric."""
    return dict.fromkeys(JUDGED, Verdict(status, -1.2, 0.6, -1.75, -0.7, n, n, passed))


def lines(*claims: Judged) -> list[str]:
    """The table of claims at 80 columns."""
    stream = io.StringIO()
    Console(file=stream, width=80, no_color=True).print(in_terminal(claim_grid(claims), "claim"))
    return [line.rstrip() for line in stream.getvalue().splitlines()[2:]]


def test_one_seed_shows_the_verdict_of_the_evidence_alone() -> None:
    claim = Judged("a-beats-b", verdicts(OPEN, n=1), verdicts(HOLDS, n=10))
    (line,) = lines(claim)
    words = " ".join(line.split())
    assert words == "a-beats-b -1.2 [-1.8, -0.7] holds holds"
    assert heading([claim]) == (
        "Claims: verdicts of the committed evidence, n=10; yours need --seeds 3"
    )
    assert counts([claim]) == ("claims: 1 hold, 0 do not hold, 0 are open (evidence, n=10)")


def test_three_seeds_show_ones_own_verdict_beside_that_of_the_evidence() -> None:
    claim = Judged("a-beats-b", verdicts(FAILS, n=3), verdicts(HOLDS))
    first, second = lines(claim)
    assert first.startswith("a-beats-b ")
    assert first.endswith("holds")
    assert second.startswith("  yours, n=3 ")
    assert second.endswith("does not hold")
    assert heading([claim]).endswith("evidence, n=5; yours beneath")
    own, evidence = counts([claim]).split("; ")
    assert own.endswith("0 hold, 1 do not hold, 0 are open (yours, n=3)")
    assert evidence.startswith("1 hold,")


@pytest.mark.parametrize("n", [1, 3])
def test_without_evidence_ones_own_verdict_stands_alone(n: int) -> None:
    claim = Judged("a-beats-b", verdicts(OPEN, n=n), {})
    assert lines(claim)[0].startswith("a-beats-b ")
    assert heading([claim]) == f"Claims: verdicts of these records, n={n}"


def test_a_claim_without_any_run_is_not_run() -> None:
    claims = [
        Judged("a-beats-b", {}, {}),
        Judged("b-equals-c", {}, verdicts(HOLDS)),
    ]
    assert lines(*claims)[0].split() == ["a-beats-b", "not", "run"]
    assert counts(claims).endswith("; 1 not run")
    assert heading(claims[:1]) == "Claims"


def test_a_claim_with_another_number_of_seeds_says_it() -> None:
    claims = [
        Judged("a", {}, verdicts(HOLDS, n=3)), Judged("b", {}, verdicts(HOLDS, n=5))
    ]  # fmt: skip
    assert [line[:8] for line in lines(*claims)] == ["a (n=3) ", "b (n=5) "]
    assert "n=3 to 5" in heading(claims)


def test_the_widest_verdicts_fit_80_columns_uncut() -> None:
    claims = [Judged("infonce-k16-independent-beats-shared", {}, verdicts(FAILS))]
    text = lines(*claims)
    assert max(map(len, text)) <= 80
    assert "".join(line.split(" ")[0] for line in text) == claims[0].name
    assert "does not hold does not hold" in " ".join(text[0].split())
    assert "…" not in "".join(text)


def test_a_claim_that_infonce_passes_is_marked_and_the_change_of_rules_is_said_once() -> None:
    judged = [Judged(name, {}, verdicts(OPEN, passed=True)) for name in ("a", "b")]
    text = terminal.closing(2, "glyphs", [], judged, width=80, colour=False)
    assert text.count("open*") == 4
    assert text.count("InfoNCE passes the same test") == 1
    assert text.count("rules of 2026-11-29") == 1
    assert max(map(len, text.splitlines())) <= 80
