"""Cells and claims of the tables.

    pytest reproductions/ -k table1                     every row, one seed, glyphs
    pytest reproductions/ -k "table1 and k16"           rows and claims at K = 16
    pytest reproductions/ -k table1 --seeds 5           enough seeds for verdicts

What a table holds, costs and lets expect stands in `table1.py` to `table6.py`. A cell trains, is
probed, and must be a real run; a claim is judged over seeds and is undetermined with one.
"""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from eqco import record as records
from eqco.judge import near_published, prediction_intervals
from eqco.recipe import SCALES, Recipe
from eqco.report import published_of
from reproductions.conftest import Train
from reproductions.session import Session

PAPER = Path(__file__).parent / "paper"


def evidence_interval(session: Session, table: int, row: str) -> tuple[float, float] | None:
    """Where a new run of a row should fall, from committed runs; None without such evidence."""
    if session.evidence is None:
        return None
    rows = session.rows(table)
    cells: dict[str, list[float]] = {name: [] for name in rows}
    by_recipe = {recipe.digest(): name for name, recipe in rows.items()}
    for record in records.read_all(session.evidence):
        name = by_recipe.get(record["run_id"].split("-")[-2])
        if name:
            cells[name].append(record["metrics"]["linear"])
    return prediction_intervals(cells).get(row)


def test_cell(row: tuple[int, str], session: Session, train: Train, baseline: Recipe) -> None:
    """The row trains to finite losses, beats the untrained backbone, and agrees with evidence."""
    recipe = session.rows(row[0])[row[1]]
    interval = evidence_interval(session, *row)
    pairs = [(train(recipe, seed), train(baseline, seed)) for seed in session.seeds]
    if any(None in pair for pair in pairs):
        pytest.skip("submitted: the same command judges it when its jobs are done")
    for record, without in pairs:
        losses = record["curve"]["loss"]
        assert losses, "the run has no loss curve"
        assert all(math.isfinite(loss) for loss in losses)
        accuracy = record["metrics"]["linear"]
        floor = without["metrics"]["linear"]
        assert accuracy > floor, f"{accuracy:.2f} % is not above the untrained {floor:.2f} %"
        if interval:
            low, high = interval
            assert low <= accuracy <= high, (
                f"{accuracy:.2f} % lies outside [{low:.2f}, {high:.2f}], where a run of this row "
                "falls by the committed evidence (1 % over the table); " + record["note"]
            )


def test_published(published_row: tuple[int, str], session: Session) -> None:
    """At the paper's own scale: the mean over seeds agrees with the published number."""
    table, row = published_row
    number = published_of(PAPER, table, row)
    assert number is not None
    measured = [record["metrics"]["linear"] for record in session.found(table, row).values()]
    if not measured:
        pytest.skip(f"not run: published is {number.value} ({number.source}); run -k table{table}")
    verdict = near_published(measured, number.value, number.trials)
    assert verdict.holds, f"{row}: {verdict}; {number.note}"


def test_claim(claim: tuple[int, str], session: Session) -> None:
    """The statement holds over the seeds that both of its rows have."""
    if not SCALES[session.scale].evidence:
        pytest.skip(f"scale {session.scale} shows that things run; it is never evidence")
    table, name = claim
    stated = session.claims(table)[name]
    left, right = session.found(table, stated.left), session.found(table, stated.right)
    seeds = sorted(left.keys() & right.keys())
    if not seeds:
        pytest.skip(f"not run: needs rows {stated.left} and {stated.right}; run -k table{table}")
    verdict = stated.test(
        [left[seed]["metrics"]["linear"] for seed in seeds],
        [right[seed]["metrics"]["linear"] for seed in seeds],
    )
    session.verdicts[claim] = verdict
    if verdict.status == "undetermined":
        pytest.skip(str(verdict) + ("; try --seeds 5" if len(seeds) < 2 else ""))
    assert verdict.status == "supported", f"{stated.says}: {verdict}"
