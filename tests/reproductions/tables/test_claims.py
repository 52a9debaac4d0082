"""Verdicts on the claims of a table: two metrics, corrected over the table."""

from __future__ import annotations

from eqco.evaluation.metrics import METRICS
from eqco.recipe import Recipe
from reproductions.statistics.verdicts import better, correct, equivalent
from reproductions.tables.base import Row, beats, equals
from reproductions.tables.claims import (
    JUDGED,
    PRIMARY,
    SECOND_METRIC,
    judge_claims,
    seeds_of,
    tally,
)

FULL, FEW = Row(Recipe()), Row(Recipe(num_negatives=16))
CLAIMS = [
    beats("drops", "full is more accurate", FULL, FEW),
    equals("same", "they agree", FULL, FEW),
]
GAPS = [0.4, 0.6, 0.1, 0.5]


def values(row: Row, metric: str) -> dict[int, float]:
    """Few negatives cost a little by the linear probe, and nothing by the other metric."""
    gaps = GAPS if row is FULL and metric == PRIMARY else [0.0] * len(GAPS)
    return {seed: 80 + seed + gap for seed, gap in enumerate(gaps)}


def test_the_metrics_are_known_and_two() -> None:
    assert set(JUDGED) <= METRICS.keys()
    assert PRIMARY != SECOND_METRIC


def test_claims_are_corrected_together_on_each_metric_by_itself() -> None:
    found = judge_claims(CLAIMS, values)
    left, right = ([80 + seed + gap for seed, gap in enumerate(g)] for g in (GAPS, [0.0] * 4))
    expected = correct([better(left, right), equivalent(left, right)])
    assert [found[name][PRIMARY] for name in ("drops", "same")] == expected
    assert expected[1].p_holm == 2 * expected[1].p  # the smaller of two
    assert [found[name][SECOND_METRIC].status for name in ("drops", "same")] == [
        "within a point",
        "supported",
    ]


def test_a_claim_without_runs_has_no_verdict_and_counts_in_the_correction() -> None:
    other = beats("other", "nothing was run", Row(Recipe(num_negatives=4)), FEW)

    def some(row: Row, metric: str) -> dict[int, float]:
        return values(row, metric) if row in (FULL, FEW) else {}

    found = judge_claims([*CLAIMS, other], some)
    assert found.pop("other") == {}
    alone = judge_claims(CLAIMS, values)
    for name, line in found.items():
        for metric, verdict in line.items():
            assert verdict.raw == alone[name][metric].raw
            assert verdict.p_holm >= alone[name][metric].p_holm
    assert found != alone


def test_tally_counts_every_kind_of_verdict() -> None:
    found = judge_claims(CLAIMS, values)
    verdicts = [verdict for line in found.values() for verdict in line.values()]
    assert tally(verdicts) == "3 supported, 0 contradicted, 1 within a point, 0 undetermined"
    assert tally([]) == "0 supported, 0 contradicted, 0 within a point, 0 undetermined"


def test_seeds_are_a_number_or_a_range() -> None:
    three, five = (
        better([81.0, 82.0, 83.0], [80.0] * 3),
        better([81.0, 82.0] * 2 + [81.5], [80] * 5),
    )
    assert seeds_of([three, three]) == "n=3"
    assert seeds_of([five, three]) == "n=3 to 5"
