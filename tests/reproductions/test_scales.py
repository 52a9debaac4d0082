"""Scales: each has a baseline of each method, and one of them is no evidence."""

from __future__ import annotations

import pytest

from eqco.methods import METHODS
from eqco.runtime.validation import check_name
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
        assert list(scale.below[method]) == sorted(scale.below[method])
        assert scale.below[method][-1] < baseline.num_negatives
    assert list(scale.alphas) == sorted(scale.alphas)


@pytest.mark.parametrize(
    ("name", "right"), [("glyph", "glyphs"), ("cifar", "cifar10"), ("smok", "smoke")]
)
def test_an_unknown_scale_is_answered_with_the_nearest_names(name: str, right: str) -> None:
    with pytest.raises(ValueError, match=f"unknown scale '{name}': did you mean {right}"):
        check_name("scale", name, SCALES)


def test_smoke_is_the_only_scale_that_is_no_evidence() -> None:
    assert [name for name, scale in SCALES.items() if not scale.evidence] == ["smoke"]


def test_the_paper_ran_one_scale() -> None:
    assert [name for name, scale in SCALES.items() if scale.paper] == ["imagenet"]
