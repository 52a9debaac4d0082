"""Verdicts on the claims of a table: two metrics, one primary claim."""

from __future__ import annotations

from dataclasses import replace

from eqco.evaluation.metrics import METRICS
from eqco.recipe import Recipe
from reproductions.statistics.verdicts import FAILS, HOLDS, OPEN
from reproductions.tables.base import Row, Table, beats, not_worse, recovers, with_loss
from reproductions.tables.claims import (
    JUDGED,
    PRIMARY,
    SECOND_METRIC,
    judge_claims,
    seed_counts,
    tally,
)

FULL, FEW = Row(Recipe()), Row(Recipe(num_negatives=16))
EQCO = with_loss(Recipe(), "eqco", 16)
TABLE = Table(
    "a table",
    (FULL, FEW, EQCO),
    (
        beats("drops", "full is more accurate", FULL, FEW),
        recovers("recovers", EQCO, FEW, FULL),
        not_worse("level", "EqCo is as accurate", EQCO, FULL, infonce=(FEW, FULL)),
    ),
    primary="drops",
    planned=4,
)
LOSSES = {FULL: [0.0] * 4, FEW: [2.1, 1.9, 2.0, 2.0], EQCO: [0.2, 0.1, 0.1, 0.2]}


def values(row: Row, metric: str) -> dict[int, float]:
    """InfoNCE loses two points and EqCo few of them; by the other metric nothing is lost."""
    losses = LOSSES[row] if metric == PRIMARY else [0.0, 0.1, 0.0, 0.1]
    return {seed: 80 + seed - loss for seed, loss in enumerate(losses)}


def test_the_metrics_are_known_and_two() -> None:
    assert set(JUDGED) <= METRICS.keys()
    assert PRIMARY != SECOND_METRIC


def test_claims_are_judged_on_each_metric_by_itself() -> None:
    found = judge_claims(TABLE, values)
    linear = {name: verdicts[PRIMARY].status for name, verdicts in found.items()}
    assert linear == {"drops": HOLDS, "recovers": HOLDS, "level": HOLDS}
    knn = {name: verdicts[SECOND_METRIC] for name, verdicts in found.items()}
    assert [knn[name].status for name in ("drops", "recovers", "level")] == [OPEN] * 3
    assert knn["level"].passed_by_infonce


def test_the_primary_claim_has_a_narrower_interval_than_as_a_secondary_one() -> None:
    other = replace(TABLE, primary="level")
    widths = []
    for table in (TABLE, other):
        verdict = judge_claims(table, values)["drops"][PRIMARY]
        widths.append(verdict.high - verdict.low)
    assert widths[0] < widths[1]


def test_a_claim_is_open_before_its_planned_seeds_and_without_verdict_without_runs() -> None:
    early = judge_claims(replace(TABLE, planned=5), values)["drops"][PRIMARY]
    assert (early.status, early.n, early.planned) == (OPEN, 4, 5)

    def some(row: Row, metric: str) -> dict[int, float]:
        return {} if row is EQCO else values(row, metric)

    found = judge_claims(TABLE, some)
    assert found["recovers"] == found["level"] == {}
    assert found["drops"][PRIMARY].status == HOLDS


def test_a_claim_says_what_is_subtracted_from_what() -> None:
    assert [claim.difference for claim in TABLE.claims] == [
        "InfoNCE 255 − InfoNCE 16",
        "EqCo 16 − mean of InfoNCE 16 and InfoNCE 255",
        "EqCo 16 − InfoNCE 255",
    ]


def test_tally_counts_every_kind_of_verdict_and_seeds_are_a_number_or_a_range() -> None:
    verdicts = [each[PRIMARY] for each in judge_claims(TABLE, values).values()]
    verdicts[0] = replace(verdicts[0], status=FAILS)
    assert tally(verdicts) == "2 hold, 1 do not hold, 0 are open"
    assert seed_counts(verdicts) == "n=4"
    assert seed_counts([replace(verdicts[0], n=3), *verdicts]) == "n=3 to 4"
