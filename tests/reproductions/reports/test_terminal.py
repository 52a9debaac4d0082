"""The closing table shows measured cells with their spread, and marks the others "not run"."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence

import pytest
from rich.console import Console

from eqco.recipe import Recipe
from reproductions.reports import terminal
from reproductions.reports.terminal import Cells
from reproductions.reports.terminal_claims import Judged, claim_grid, counts, heading
from reproductions.results.evidence import Evidence
from reproductions.results.published import numbers_without_row
from reproductions.statistics.verdicts import FAILS, HOLDS, OPEN, Verdict
from reproductions.tables.base import Row
from reproductions.tables.claims import JUDGED, Verdicts
from reproductions.tables.formats import in_terminal
from tests.synthetic import make_record

RANGE = (83.0, 85.0)  # predicted


def cell(loss: str, num_negatives: int) -> Row:
    alpha = 256.0 if loss == "eqco" else None
    return Row(Recipe(loss=loss, num_negatives=num_negatives, alpha=alpha))


Accuracies = Mapping[Row, Sequence[float]]  # of the seeds of each row


def evidence_of(accuracies: Accuracies, scale: str) -> Evidence:
    records = [
        make_record(row.recipe, seed, value)
        for row, values in accuracies.items()
        for seed, value in enumerate(values)
    ]
    return Evidence(scale, tuple(records))


def cells_of(
    accuracies: Accuracies,
    committed: Accuracies | None = None,
    predicted: tuple[float, float] = RANGE,
    scale: str = "glyphs",
    status: str = "passed",
) -> Cells:
    """Rows with their accuracies by seed; those of committed runs have a prediction."""
    own, known = evidence_of(accuracies, scale), evidence_of(committed or {}, scale)
    ranges = {row.name: predicted for row in committed or {}}
    statuses = {row.name: status if values else "not run" for row, values in accuracies.items()}
    return Cells(1, tuple(accuracies), own, known, ranges, {}, statuses)


def closing(cells: Cells, claims: Sequence[Judged] = ()) -> str:
    """The closing text at 80 columns without colour."""
    return terminal.closing(cells, claims, width=80, colour=False)


def two_cells(scale: str = "glyphs") -> Cells:
    """InfoNCE at full K and EqCo at K = 16, with two seeds each."""
    return cells_of(
        {cell("infonce", 255): [85.0, 86.0], cell("eqco", 16): [84.0, 85.0]}, scale=scale
    )


def test_closing_table_has_mean_spread_count_paired_difference_and_notes_once() -> None:
    text = closing(two_cells("imagenet"))
    assert max(len(line) for line in text.splitlines() if "published for" not in line) <= 80
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
    known = {row: [80.0 + seed for seed in range(10)]} if beside else {}
    own = {row: [85.0 + seed for seed in range(10)]}
    text = closing(cells_of(own, known, (78.0, 99.0), status="9 of 10"))
    assert max(len(line) for line in text.splitlines()) <= 80
    assert "…" not in text
    assert row.title in text
    assert "(10)" in text
    assert ("78.0–99.0 yes" in text) is beside


def test_closing_table_groups_cells_by_method() -> None:
    moco = Row(Recipe(method="moco", queue_size=512, num_negatives=512))
    text = closing(cells_of({cell("infonce", 255): [85.0], moco: [80.0]}))
    assert "Table 1 (moco, simo) at scale glyphs" in text
    assert {"SiMo", "MoCo v2"} <= {line.strip() for line in text.splitlines()}


def test_closing_table_shows_claims_and_numbers_of_no_row() -> None:
    claim = Judged("infonce-beats-eqco", verdicts(HOLDS, n=3), {})
    text = closing(two_cells("imagenet"), [claim])
    assert text.count("infonce-beats-eqco") == 1
    assert "-1.2 [-1.8, -0.7]" in text
    assert "\nclaims: 1 hold, 0 do not hold" in text
    for number in numbers_without_row(1):
        assert f"published for {number.of}: {number.value}" in " ".join(text.split())


def test_difference_uses_only_seeds_that_both_rows_have() -> None:
    base, other, empty = cell("infonce", 255), cell("eqco", 16), cell("eqco", 4)
    own = evidence_of({base: [85.0, 100.0], other: [84.0]}, "glyphs")
    assert terminal.difference(own, other, base) == "-1.0"
    assert terminal.difference(own, base, base) == ""
    assert terminal.difference(own, empty, base) == ""


AROUND_84 = (83.9, 84.1)  # committed runs


def test_rows_stand_beside_the_evidence_and_what_it_predicts() -> None:
    rows = {cell("eqco", 16): [84.2], cell("eqco", 64): [84.2, 85.1]}
    text = closing(cells_of(rows, dict.fromkeys(rows, AROUND_84)))
    inside, outside = text.splitlines()[3:5]
    assert "84.2 (1)" in inside
    assert "84.0 ± 0.1 (2) 83.0–85.0 yes" in inside
    assert "84.0 ± 0.1 (2) 83.0–85.0 no" in outside
    assert "your 3 runs agree with the evidence in 1 of 2 cells" in text


def test_a_cell_without_runs_or_without_evidence_is_not_compared() -> None:
    run, empty = cell("eqco", 16), cell("eqco", 4)
    rows = {run: [84.0], empty: list[float]()}
    beside = cells_of(rows, dict.fromkeys(rows, AROUND_84))
    assert beside.agrees(empty) is None
    assert cells_of(rows).agrees(run) is None
    assert "your run agrees with the evidence in 1 of 1 cells" in closing(beside)
    assert "agree" not in closing(cells_of(rows))


def verdicts(status: str, n: int = 5, *, passed: bool = False) -> Verdicts:
    """The same verdict on every metric."""
    return dict.fromkeys(JUDGED, Verdict(status, -1.2, 0.6, -1.75, -0.7, n, n, passed))


def lines(*claims: Judged) -> list[str]:
    """The table of claims at 80 columns."""
    stream = io.StringIO()
    Console(file=stream, width=80, no_color=True).print(in_terminal(claim_grid(claims), "claim"))
    return [line.rstrip() for line in stream.getvalue().splitlines()[2:]]


@pytest.mark.parametrize("n", [1, 3])
def test_without_evidence_ones_own_verdict_stands_alone(n: int) -> None:
    claim = Judged("a-beats-b", verdicts(OPEN, n=n), {})
    assert lines(claim)[0].startswith("a-beats-b ")
    assert heading([claim]) == f"Claims: verdicts of these records, n={n}"


def test_a_claim_without_any_run_is_not_run() -> None:
    claims = [Judged("a-beats-b", {}, {}), Judged("b-equals-c", {}, verdicts(HOLDS))]
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
    text = closing(cells_of({}), judged)
    assert text.count("open*") == 4
    assert text.count("InfoNCE passes the same test") == 1
    assert text.count("rules of 2026-11-29") == 1
    assert max(map(len, text.splitlines())) <= 80
