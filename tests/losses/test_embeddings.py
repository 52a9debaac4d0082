"""Cosine similarities of embeddings of any length, with negatives of one's own."""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F

from eqco.losses.functional import eqco_info_nce
from eqco.losses.similarity import similarities
from tests.formulas import as_defined


@pytest.mark.parametrize("keys_of_its_own", [False, True], ids=["shared-keys", "own-keys"])
def test_similarities_are_cosines(generator: torch.Generator, keys_of_its_own: bool) -> None:
    query, key = torch.randn(2, 5, 8, generator=generator)
    others = torch.randn((5, 9, 8) if keys_of_its_own else (9, 8), generator=generator)
    positive = F.cosine_similarity(query, key)
    rows = others if keys_of_its_own else others.expand(5, 9, 8)
    negatives = F.cosine_similarity(query[:, None], rows, dim=2)
    expected = as_defined(positive, negatives, 0.1, 64.0)
    found = similarities(3 * query, key, 7 * others)
    loss = eqco_info_nce(*found, temperature=0.1, alpha=64)
    assert loss.item() == pytest.approx(expected, rel=1e-5)


def test_cosines_are_not_rounded_to_bfloat16_by_autocast(generator: torch.Generator) -> None:
    query, key, others = torch.randn(3, 6, 32, generator=generator)
    outside = similarities(query, key, others)
    with torch.autocast("cpu", torch.bfloat16):
        inside = similarities(query, key, others)
    for one, other in zip(inside, outside, strict=True):
        assert one.dtype == torch.float32
        torch.testing.assert_close(one, other, rtol=0, atol=1e-6)


@pytest.mark.parametrize("wrong", ["keys", "both", "own"])
def test_positive_keys_among_the_negatives_are_refused(
    generator: torch.Generator, wrong: str
) -> None:
    query, key, other = torch.randn(3, 6, 8, generator=generator)
    negatives = {
        "keys": key.clone(),
        "both": torch.cat([other, key]),
        "own": torch.stack([other, key], dim=1),
    }
    with pytest.raises(ValueError, match="hold the positive keys"):
        similarities(query, key, negatives[wrong])


def test_one_equal_key_and_a_collapsed_encoder_are_no_mistake(generator: torch.Generator) -> None:
    query, key, other = torch.randn(3, 6, 8, generator=generator)
    other[3] = key[0]
    similarities(query, key, other)
    similarities(query, torch.ones(6, 8), torch.ones(4, 8))


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


def test_embeddings_with_nan_raise_an_error() -> None:
    broken = torch.ones(3, 8)
    broken[1, 2] = math.nan
    found = similarities(broken, torch.ones(3, 8), torch.ones(4, 8))
    with pytest.raises(ValueError, match="NaN"):
        eqco_info_nce(*found, temperature=0.2, alpha=16)
