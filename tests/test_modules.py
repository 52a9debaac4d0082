"""The losses as modules on embeddings of any length."""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F

from eqco.corrected import eqco_jackknife
from eqco.modules import EqCoInfoNCE, EqCoJackknife, InfoNCE, similarities
from tests.formulas import as_defined


@pytest.mark.parametrize("keys_of_its_own", [False, True], ids=["shared-keys", "own-keys"])
def test_the_module_contrasts_cosines_of_its_embeddings(
    generator: torch.Generator, keys_of_its_own: bool
) -> None:
    query, key = torch.randn(2, 5, 8, generator=generator)
    shape = (5, 9, 8) if keys_of_its_own else (9, 8)
    others = torch.randn(shape, generator=generator)
    positive = F.cosine_similarity(query, key)
    rows = others if keys_of_its_own else others.expand(5, 9, 8)
    negatives = F.cosine_similarity(query[:, None], rows, dim=2)
    for module, alpha in (
        (EqCoInfoNCE(temperature=0.1, alpha=64.0), 64.0),
        (InfoNCE(temperature=0.1), 9.0),
    ):
        expected = as_defined(positive, negatives, 0.1, alpha)
        assert module(3 * query, key, 7 * others).item() == pytest.approx(expected, rel=1e-5)
    corrected = eqco_jackknife(positive, negatives, temperature=0.1, alpha=64.0)
    module = EqCoJackknife(temperature=0.1, alpha=64.0)
    assert module(3 * query, key, 7 * others).item() == pytest.approx(corrected.item(), rel=1e-5)


def test_cosines_are_not_rounded_to_bfloat16_by_autocast(generator: torch.Generator) -> None:
    query, key, others = torch.randn(3, 6, 32, generator=generator)
    outside = similarities(query, key, others)
    with torch.autocast("cpu", torch.bfloat16):
        inside = similarities(query, key, others)
    for one, other in zip(inside, outside, strict=True):
        assert one.dtype == torch.float32
        torch.testing.assert_close(one, other, rtol=0, atol=1e-6)


def test_embeddings_with_nan_raise_an_error() -> None:
    broken = torch.ones(3, 8)
    broken[1, 2] = math.nan
    with pytest.raises(ValueError, match="NaN"):
        EqCoInfoNCE()(broken, torch.ones(3, 8), torch.ones(4, 8))


@pytest.mark.parametrize(
    ("query", "positive_key", "negative_keys"),
    [
        ((3, 8), (2, 8), (4, 8)),
        ((3, 8), (3, 8), (4, 7)),
        ((3, 8), (3, 8), (2, 4, 8)),
        ((8,), (8,), (4, 8)),
        ((3, 8), (3, 8), (8,)),
    ],
    ids=["positives", "dimension", "own-keys", "query-1d", "keys-1d"],
)
def test_embeddings_whose_shapes_do_not_match_are_named(
    query: tuple, positive_key: tuple, negative_keys: tuple
) -> None:
    shapes = (query, positive_key, negative_keys)
    with pytest.raises(ValueError, match=r"must be \(N, D\)") as caught:
        similarities(*(torch.ones(shape) for shape in shapes))
    assert str(query) in str(caught.value)
    assert str(negative_keys) in str(caught.value)


def test_a_module_prints_its_settings_and_has_no_parameters() -> None:
    assert str(EqCoInfoNCE(temperature=0.1, alpha=64)) == "EqCoInfoNCE(temperature=0.1, alpha=64.0)"
    assert str(InfoNCE(temperature=0.1)) == "InfoNCE(temperature=0.1, alpha=None)"
    assert not list(EqCoInfoNCE().parameters())


def test_alpha_none_is_info_nce(generator: torch.Generator) -> None:
    query, key, others = torch.randn(3, 6, 8, generator=generator)
    without = EqCoInfoNCE(temperature=0.1, alpha=None)(query, key, others)
    assert torch.equal(without, InfoNCE(temperature=0.1)(query, key, others))
