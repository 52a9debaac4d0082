"""Scales: each has a baseline of each method, and one of them is no evidence."""

from __future__ import annotations

import pytest

from eqco.methods import METHODS
from reproductions.scales import SCALES


@pytest.mark.parametrize("name", sorted(SCALES))
def test_the_baseline_of_a_scale_is_info_nce_with_all_negatives(name: str) -> None:
    scale = SCALES[name]
    assert scale.baseline("simo") == scale.base
    assert scale.base.num_negatives == scale.base.batch_size - 1
    for method in METHODS:
        baseline = scale.baseline(method)
        assert (baseline.method, baseline.loss) == (method, "infonce")
        assert baseline.num_negatives == baseline.available()
        assert scale.below[method][-1] < baseline.num_negatives
    for values in (scale.alphas, *scale.below.values()):
        assert list(values) == sorted(set(values))
    assert scale.base.batch_size in scale.alphas


def test_smoke_is_the_only_scale_that_is_no_evidence() -> None:
    assert [name for name, scale in SCALES.items() if not scale.evidence] == ["smoke"]


def test_the_paper_ran_one_scale() -> None:
    assert [name for name, scale in SCALES.items() if scale.paper] == ["imagenet"]
