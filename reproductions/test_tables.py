"""Cells and claims of the tables.

    pytest reproductions/ -k table1                     every row, one seed, glyphs
    pytest reproductions/ -k "table1 and k16"           rows and claims at K = 16
    pytest reproductions/ -k table1 --seeds 5           enough seeds for verdicts

`tables/` has a file for each table, with the results to expect. A cell is trained and probed, and
must beat the untrained backbone. A claim is judged over three seeds or more, by the linear probe:
it passes where it holds, fails where it does not, and is skipped where it is open. The
closing table has every verdict, and those of the committed evidence beside them.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest

from eqco.engine.run import untrained
from reproductions.harness.runs import Train
from reproductions.harness.session import Session
from reproductions.results.evidence import NEGATIVE_WEIGHT
from reproductions.results.published import number_for
from reproductions.scales import SCALES
from reproductions.statistics.intervals import near_published
from reproductions.statistics.verdicts import HOLDS, LEAST_SEEDS, OPEN
from reproductions.tables.claims import PRIMARY

PREDICTED = {PRIMARY: "{:.2f} %", NEGATIVE_WEIGHT: "1 - pi_0 = {:.3f}"}


def test_cell(
    row: tuple[int, str],
    session: Session,
    train: Train,
    record_property: Callable[[str, object], None],
) -> None:
    """The row trains to finite losses, beats the untrained backbone, and agrees with evidence."""
    record_property("row", row)
    recipe, baseline = session.table(row[0]).row(row[1]).recipe, untrained(session.base)
    intervals = {m: session.committed.predictions(row[0], m).get(row[1]) for m in PREDICTED}
    seeds = session.seeds_to_judge(recipe, baseline)
    if not seeds:
        record_property("not run", True)
        price = SCALES[session.scale].run
        pytest.skip(f"not run: leave --run never out to train it ({price})")
    pairs = [(train(recipe, seed), train(baseline, seed)) for seed in seeds]
    for record, untrained_record in pairs:
        if record is None or untrained_record is None:
            pytest.skip("submitted: the same command judges it when its jobs are done")
        losses = record.curve["loss"]
        assert losses, "the run has no loss curve"
        assert all(math.isfinite(loss) for loss in losses)
        accuracy, floor = record.metrics["linear"], untrained_record.metrics["linear"]
        assert accuracy > floor, f"{accuracy:.2f} % is not above the untrained {floor:.2f} %"
        measured = {PRIMARY: accuracy, NEGATIVE_WEIGHT: record.diagnostics.get(NEGATIVE_WEIGHT)}
        for metric, interval in intervals.items():
            value = measured[metric]
            if interval and value is not None:
                low, high = interval
                assert low <= value <= high, (
                    f"{PREDICTED[metric].format(value)} lies outside [{low:.3g}, {high:.3g}], the "
                    "prediction interval of the committed evidence (99 % over the table); "
                    + record.note
                )


def test_published(published_row: tuple[int, str], session: Session) -> None:
    """At the paper's own scale: the mean over seeds agrees with the published number."""
    table, row = published_row
    number = number_for(table, row)
    assert number is not None
    measured = list(session.own_evidence(table).values(session.table(table).row(row)).values())
    if not measured:
        pytest.skip(f"not run: published is {number.value} ({number.source}); run -k table{table}")
    verdict = near_published(measured, float(number.value), number.trials)
    assert verdict.holds, f"{row}: {verdict}; {number.note}"


def test_claim(
    claim: tuple[int, str], session: Session, record_property: Callable[[str, object], None]
) -> None:
    """The statement holds over the seeds that both of its rows have."""
    if not SCALES[session.scale].evidence:
        pytest.skip(f"scale {session.scale} shows that things run; it is never evidence")
    record_property("claim", claim)
    number, name = claim
    stated = session.table(number).claim(name)
    verdict = session.own_evidence(number).verdicts[number][name].get(PRIMARY)
    if verdict is None:
        names = ", ".join(row.name for row in stated.rows)
        pytest.skip(f"not run: needs rows {names}; run -k table{number}")
    if verdict.n < LEAST_SEEDS:
        pytest.skip(f"{verdict}; a verdict needs --seeds {LEAST_SEEDS}")
    record_property("verdict", verdict.status)
    if verdict.status == OPEN:
        pytest.skip(str(verdict))
    assert verdict.status == HOLDS, f"{stated.statement}: {verdict}"
