"""SiMo against a slow loop written from its definition."""

from __future__ import annotations

import copy

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from eqco.methods.encoder import build_encoder
from eqco.methods.simo import SiMo

SIZE = 8


@pytest.fixture
def views(generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Query and key view of eight gray images."""
    query_view, key_view = torch.rand(2, SIZE, 1, 24, 24, generator=generator)
    return query_view, key_view


def simo(**settings: object) -> SiMo:
    """SiMo whose key encoder has already left the query encoder."""
    method = SiMo(build_encoder("tiny-gray", 16, seed=0), **{"num_negatives": 7, **settings})
    method.key_encoder.load_state_dict(build_encoder("tiny-gray", 16, seed=1).state_dict())
    return method


def slowly(method: SiMo, query_view: Tensor, key_view: Tensor) -> tuple[list[float], list[list]]:
    """Positives and all negatives: moving average, encode, then cosines one pair at a time."""
    twin = copy.deepcopy(method)
    pairs = zip(twin.key_encoder.parameters(), twin.encoder.parameters(), strict=True)
    with torch.no_grad():
        for key_weight, query_weight in pairs:
            momentum = twin.key_momentum
            key_weight.copy_(momentum * key_weight + (1 - momentum) * query_weight)
        keys, queries = twin.key_encoder(key_view), twin.encoder(query_view)
    cosine = [[F.cosine_similarity(q, k, dim=0).item() for k in keys] for q in queries]
    positive = [cosine[i][i] for i in range(SIZE)]
    negatives = [[cosine[i][j] for j in range(SIZE) if j != i] for i in range(SIZE)]
    return positive, negatives


@pytest.mark.parametrize("key_momentum", [0.0, 0.9, 0.999], ids="momentum{}".format)
def test_simo_is_its_definition(views: tuple[Tensor, Tensor], key_momentum: float) -> None:
    method = simo(key_momentum=key_momentum)
    expected = slowly(method, *views)
    found = method(*views, torch.Generator())
    for ours, theirs in zip((found.positive, found.negatives()), expected, strict=True):
        torch.testing.assert_close(ours, torch.tensor(theirs), rtol=0, atol=2e-6)
    logits = torch.tensor(expected[1]) / 0.2
    gap = torch.logsumexp(logits, dim=1) - torch.tensor(expected[0]) / 0.2
    torch.testing.assert_close(found.log_odds(0.2), gap, rtol=0, atol=2e-5)


def test_only_the_query_encoder_gets_a_gradient(views: tuple[Tensor, Tensor]) -> None:
    method = simo()
    method(*views, torch.Generator()).log_odds(1.0).sum().backward()
    assert all(each.grad is not None for each in method.encoder.parameters())
    assert all(each.grad is None for each in method.key_encoder.parameters())


def test_keys_are_encoded_after_the_momentum_update(views: tuple[Tensor, Tensor]) -> None:
    """With momentum 0 the key encoder is the query encoder of this very step."""
    method = simo(key_momentum=0.0)
    expected = copy.deepcopy(method.encoder)(views[1])
    torch.testing.assert_close(method.keys(views[1]), expected)


def test_similarities_stay_float32_under_autocast(views: tuple[Tensor, Tensor]) -> None:
    with torch.autocast("cpu", torch.bfloat16):
        found = simo()(*views, torch.Generator())
        given = (found.positive, found.negatives(), found.log_odds(0.2))
    assert {each.dtype for each in given} == {torch.float32}


@pytest.mark.parametrize("key_momentum", [-0.1, 1.0, float("nan")], ids=str)
def test_an_invalid_key_momentum_raises_an_error(key_momentum: float) -> None:
    with pytest.raises(ValueError, match=f"key_momentum must lie in .* got {key_momentum}"):
        simo(key_momentum=key_momentum)


def test_more_negatives_than_the_batch_has_raise_an_error(views: tuple[Tensor, Tensor]) -> None:
    with pytest.raises(ValueError, match="num_negatives is 8, but only 7 negatives are there"):
        simo(num_negatives=8)(*views, torch.Generator())
