"""How verdicts are written."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from reproductions.statistics.verdicts import HOLDS, OPEN, Verdict
from reproductions.statistics.wording import points, short_p, word

LOST = Verdict(HOLDS, -1.2, 0.6, -1.75, -0.7, n=5, planned=5)


@pytest.mark.parametrize(
    ("p", "text"),
    [
        (1.0, "1"), (0.999, "1"), (0.5, ".5"), (0.321, ".32"), (0.0496, ".050"), (0.007, ".007"),
        (0.00012, "1e-4"), (1e-12, "≈0"), (0.0, "≈0"), (math.nan, "–"),
    ],
)  # fmt: skip
def test_p_values_have_four_characters_at_most(p: float, text: str) -> None:
    assert short_p(p) == text


def test_a_verdict_has_its_interval_its_seeds_and_a_mark_where_infonce_passes_too() -> None:
    assert points(LOST, 1) == "-1.2 [-1.8, -0.7]"
    assert points(replace(LOST, n=1), 1) == "-1.2"
    early = replace(LOST, status=OPEN, n=3)
    assert (word(early), early.count, word(None)) == ("open", "n=3 of 5", "–")
    both = replace(LOST, status=OPEN, passed_by_infonce=True)
    assert word(both) == "open*"
