"""Cells and claims of the tables.

    pytest reproductions/ -k table1                     every row, one seed, glyphs
    pytest reproductions/ -k "table1 and k16"           rows and claims at K = 16
    pytest reproductions/ -k table1 --seeds 5           enough seeds for verdicts

`tables/` has a file for each table, with the results to expect. A cell is trained and probed, and
must beat the untrained backbone. A claim is judged over seeds; one seed leaves it undetermined.
"""

from __future__ import annotations

import math

import pytest

from eqco.recipe import Recipe
from reproductions.conftest import Train
from reproductions.evidence import committed_records
from reproductions.judge import near_published, prediction_intervals
from reproductions.published import number_for
from reproductions.scales import SCALES
from reproductions.session import Session


def evidence_interval(session: Session, table: int, row: str) -> tuple[float, float] | None:
    """Prediction interval of a new run of a row from committed runs; None where there are none."""
    if session.evidence is None:
        return None
    by_digest = {each.recipe.digest(): each.name for each in session.table(table).rows}
    cells: dict[str, list[float]] = {name: [] for name in by_digest.values()}
    for record in committed_records(session.scale):
        name = by_digest.get(record.recipe.digest())
        if name:
            cells[name].append(record.metrics["linear"])
    return prediction_intervals(cells).get(row)


def test_cell(row: tuple[int, str], session: Session, train: Train, baseline: Recipe) -> None:
    """The row trains to finite losses, beats the untrained backbone, and agrees with evidence."""
    recipe = session.table(row[0]).row(row[1]).recipe
    interval = evidence_interval(session, *row)
    pairs = [(train(recipe, seed), train(baseline, seed)) for seed in session.seeds]
    for record, without in pairs:
        if record is None or without is None:
            pytest.skip("submitted: the same command judges it when its jobs are done")
        losses = record.curve["loss"]
        assert losses, "the run has no loss curve"
        assert all(math.isfinite(loss) for loss in losses)
        accuracy, floor = record.metrics["linear"], without.metrics["linear"]
        assert accuracy > floor, f"{accuracy:.2f} % is not above the untrained {floor:.2f} %"
        if interval:
            low, high = interval
            assert low <= accuracy <= high, (
                f"{accuracy:.2f} % lies outside [{low:.2f}, {high:.2f}], where a run of this row "
                "falls by the committed evidence (1 % over the table); " + record.note
            )


def test_published(published_row: tuple[int, str], session: Session) -> None:
    """At the paper's own scale: the mean over seeds agrees with the published number."""
    table, row = published_row
    number, found = number_for(table, row), session.found(session.table(table).row(row))
    assert number is not None
    measured = [record.metrics["linear"] for record in found.values()]
    if not measured:
        pytest.skip(f"not run: published is {number.value} ({number.source}); run -k table{table}")
    verdict = near_published(measured, float(number.value), number.trials)
    assert verdict.holds, f"{row}: {verdict}; {number.note}"


def test_claim(claim: tuple[int, str], session: Session) -> None:
    """The statement holds over the seeds that both of its rows have."""
    if not SCALES[session.scale].evidence:
        pytest.skip(f"scale {session.scale} shows that things run; it is never evidence")
    stated = session.table(claim[0]).claim(claim[1])
    left, right = (
        {seed: record.metrics["linear"] for seed, record in session.found(row).items()}
        for row in (stated.left, stated.right)
    )
    verdict = stated.judge(left, right)
    if verdict is None:
        names = f"{stated.left.name} and {stated.right.name}"
        pytest.skip(f"not run: needs rows {names}; run -k table{claim[0]}")
    session.verdicts[claim] = stated, verdict
    if verdict.status == "undetermined":
        pytest.skip(str(verdict) + ("; try --seeds 5" if verdict.n < 2 else ""))
    assert verdict.status == "supported", f"{stated.statement}: {verdict}"
