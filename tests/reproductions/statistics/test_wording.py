"""How verdicts are written."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from reproductions.statistics.verdicts import PValues, Verdict, better, correct
from reproductions.statistics.wording import footnote, marked, points, short, short_p


@pytest.mark.parametrize(
    ("p", "text"),
    [
        (1.0, "1"), (0.999, "1"), (0.5, ".5"), (0.321, ".32"), (0.0496, ".050"), (0.007, ".007"),
        (0.00012, "1e-4"), (1e-12, "≈0"), (0.0, "≈0"), (math.nan, "–"),
    ],
)  # fmt: skip
def test_p_values_have_four_characters_at_most(p: float, text: str) -> None:
    assert short_p(p) == text


def test_p_values_of_any_size_have_four_characters_at_most() -> None:
    assert max(len(short_p(10 ** (-k / 7))) for k in range(100)) <= 4


def test_a_verdict_that_the_correction_changed_has_a_mark_which_is_explained() -> None:
    p, holm = PValues(0.004, 0.5, 0.5), PValues(0.032, 1.0, 1.0)
    changed = Verdict("undetermined", -1.2, 0.6, 5, -1.75, -0.7, 4, p, holm, "supported")
    same = replace(changed, uncorrected="undetermined")
    assert [marked(each) for each in (changed, same, None)] == [
        "undetermined¹",
        "undetermined",
        "–",
    ]
    assert footnote([changed, same]) == "¹ supported without Holm's correction"
    assert footnote([same]) == ""
    assert points(changed, 1) == "-1.2 [-1.8, -0.7]"
    assert points(replace(changed, n=1), 1) == "-1.2"


def test_a_corrected_verdict_has_both_p_values_and_the_uncorrected_verdict() -> None:
    plain = better([80.1, 80.9, 80.3], [80.0, 80.1, 80.2])
    corrected, _ = correct([plain, plain])
    assert short(plain) == "+0.33 [-0.35, +1.01] n=3: **undetermined**"
    assert short(corrected) == (
        f"+0.33 [-0.35, +1.01] n=3, p={plain.p:.2g} (Holm {2 * plain.p:.2g}): **undetermined**"
    )
    lost = replace(corrected, uncorrected="supported")
    assert short(lost).endswith("**undetermined** (uncorrected: supported)")
