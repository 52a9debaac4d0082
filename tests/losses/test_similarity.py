"""Similarities: every way to compute the gap agrees with a matrix of all similarities."""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from eqco.losses import similarity
from eqco.losses.functional import eqco_info_nce
from eqco.losses.registry import LOSSES
from eqco.losses.similarity import LogSumExp, Similarities, blocks, similarities
from tests.formulas import as_defined

QUERIES, KEYS, WIDTH = 7, 11, 4  # n, M, D
Negatives = dict[str, Tensor | None]


def drawn(num_negatives: int) -> Tensor:
    """Columns (n, K) without repetition in a row."""
    lots = torch.rand(QUERIES, KEYS, generator=torch.Generator().manual_seed(2))
    return lots.topk(num_negatives, dim=1).indices


# Which keys are negatives. Excluded columns lie at the edges of blocks of 1, 3 and 5 keys; blocks
# of one key, and the last one of five, then hold nothing but an excluded key.
CHOICES: dict[str, Negatives] = {
    "all": {"columns": None, "excluded": None},
    "one": {"columns": drawn(1), "excluded": None},
    "four": {"columns": drawn(4), "excluded": None},
    "all-but-one": {"columns": None, "excluded": torch.tensor([[0, 2, 3, 4, 5, 9, 10]]).T},
    "all-but-two": {
        "columns": None,
        "excluded": torch.tensor([[0, 1], [2, 3], [10, 0], [4, 5], [6, 5], [9, 10], [3, 8]]),
    },
}
EVERY_CHOICE = pytest.mark.parametrize("choice", CHOICES)
SIZES = pytest.mark.parametrize(
    ("block", "most_columns"),
    [(1, 1), (2, 2), (6, 3), (25, 5), (33, 2048), (2**18, 2048)],
)


@pytest.fixture
def embeddings(generator: torch.Generator) -> list[Tensor]:
    """Queries, positive keys and keys of length 1, float64, which need a gradient."""
    shapes = ((QUERIES, WIDTH), (QUERIES, WIDTH), (KEYS, WIDTH))
    draws = [torch.randn(shape, generator=generator, dtype=torch.float64) for shape in shapes]
    return [F.normalize(each, dim=1).requires_grad_() for each in draws]


def set_blocks(monkeypatch: pytest.MonkeyPatch, block: int, most_columns: int) -> None:
    """So many similarities in a block, of so many keys at most."""
    monkeypatch.setitem(similarity.BLOCK, "cpu", block)
    monkeypatch.setattr(similarity, "MOST_COLUMNS", most_columns)
    monkeypatch.setattr(similarity, "SMALL", 0)


def negatives_of(query: Tensor, keys: Tensor, choice: str) -> Tensor:
    """Similarities (n, K) by the whole matrix and a list of the columns of each query."""
    columns, excluded = CHOICES[choice].values()
    if columns is None:
        without = [set() if excluded is None else set(excluded[row].tolist()) for row in range(7)]
        rows = [[key for key in range(KEYS) if key not in each] for each in without]
        columns = torch.tensor(rows)
    return (query @ keys.T).gather(1, columns)


@EVERY_CHOICE
@SIZES
def test_log_odds_and_gradients_are_those_of_the_whole_matrix(
    choice: str,
    block: int,
    most_columns: int,
    embeddings: list[Tensor],
    generator: torch.Generator,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Also where only queries or only keys need a gradient."""
    set_blocks(monkeypatch, block, most_columns)
    monkeypatch.setattr(similarity, "FEW", 0)
    weights = torch.randn(QUERIES, generator=generator, dtype=torch.float64)
    for needed in ((0, 1, 2), (0,), (2,)):
        given = [each.detach() for each in embeddings]
        for place in needed:
            given[place].requires_grad_()
        query, positive_key, keys = given
        ours = Similarities(*given, **CHOICES[choice]).log_odds(0.1)
        theirs = torch.logsumexp(negatives_of(query, keys, choice) / 0.1, dim=1)
        theirs = theirs - (query * positive_key).sum(dim=1) / 0.1
        torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-12)
        inputs = [given[place] for place in needed]
        found, expected = (torch.autograd.grad(each @ weights, inputs) for each in (ours, theirs))
        for one, other in zip(found, expected, strict=True):
            torch.testing.assert_close(one, other, rtol=0, atol=1e-11)


def test_blocks_cover_everything_once() -> None:
    for total, size in ((7, 3), (6, 3), (1, 5), (5, 1)):
        seen = [place for part in blocks(total, size) for place in range(total)[part]]
        assert seen == list(range(total))
        assert all(part.stop - part.start <= size for part in blocks(total, size))


def test_a_block_holds_no_more_similarities_than_it_may(
    embeddings: list[Tensor], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The test above would pass with blocks that are never split."""
    seen, inner = [], similarity.parts
    monkeypatch.setattr(
        similarity,
        "parts",
        lambda *given: (seen.append(part[0].shape) or part for part in inner(*given)),
    )
    set_blocks(monkeypatch, 6, 3)
    LogSumExp.apply(embeddings[0], embeddings[2], None, None)
    assert seen == [(2, 3), (2, 3), (2, 3), (2, 2)] * 3 + [(1, 3)] * 3 + [(1, 2)]
    seen.clear()
    LogSumExp.apply(embeddings[0], embeddings[2], drawn(4), None)
    assert [rows for rows, _ in seen] == [1] * 7


WAYS = pytest.mark.parametrize("few", [0, 10**9], ids=["few-keys", "matrix"])


@EVERY_CHOICE
@WAYS
def test_the_gap_has_the_gradient_of_finite_differences(
    choice: str, few: int, embeddings: list[Tensor], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(similarity, "FEW", few)
    set_blocks(monkeypatch, 6, 3)

    def gap(*given: Tensor) -> Tensor:
        return Similarities(*given, **CHOICES[choice]).log_odds(0.3)

    assert torch.autograd.gradcheck(gap, embeddings)


@EVERY_CHOICE
def test_negatives_are_those_of_the_matrix_and_are_counted(
    choice: str, embeddings: list[Tensor]
) -> None:
    found = Similarities(*embeddings, **CHOICES[choice])
    expected = negatives_of(embeddings[0], embeddings[2], choice)
    torch.testing.assert_close(found.negatives(), expected, rtol=0, atol=0)
    assert found.num_negatives == expected.shape[1]


@pytest.mark.parametrize("num_negatives", [1, 2, 3], ids="k{}".format)
def test_few_keys_are_taken_one_by_one_and_many_out_of_the_matrix(
    num_negatives: int, generator: torch.Generator
) -> None:
    query, keys = (torch.randn(count, 4, generator=generator) for count in (2, 64))
    columns = torch.arange(num_negatives).expand(2, -1)
    found = Similarities(query, query, keys, columns=columns)
    assert found.uses_matrix() == (num_negatives > 2)  # 64 / 32


@EVERY_CHOICE
def test_a_small_matrix_gives_the_gap_of_blocks(
    choice: str, embeddings: list[Tensor], monkeypatch: pytest.MonkeyPatch
) -> None:
    """With all keys both ways are open; value and every gradient agree."""
    gaps = []
    for small in (0, 2**17):
        monkeypatch.setattr(similarity, "SMALL", small)
        found = Similarities(*embeddings, **CHOICES[choice])
        assert found.columns is not None or found.uses_matrix() == bool(small)
        gap = found.log_odds(0.1)
        gaps.append([gap, *torch.autograd.grad(gap.sum(), embeddings)])
    for one, other in zip(*gaps, strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=1e-12)


@EVERY_CHOICE
@WAYS
def test_float32_stays_finite_at_temperature_one_hundredth(
    choice: str, few: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Keys opposite to the queries or equal to them: similarities of -1 and 1, logits of 100."""
    monkeypatch.setattr(similarity, "FEW", few)
    set_blocks(monkeypatch, 6, 3)
    for sign in (-1.0, 1.0):
        query = F.one_hot(torch.arange(QUERIES) % WIDTH, WIDTH).float().requires_grad_()
        keys = -sign * torch.ones(KEYS, 1) * query[:1].detach()
        found = Similarities(query, sign * query.detach(), keys, **CHOICES[choice])
        gap = found.log_odds(0.01)
        expected = negatives_of(query.detach().double(), keys.double(), choice) / 0.01
        torch.testing.assert_close(
            gap.detach().double(), torch.logsumexp(expected, dim=1) - sign * 100, rtol=1e-6, atol=0
        )
        (gradient,) = torch.autograd.grad(gap.sum(), query)
        assert torch.isfinite(gradient).all()


@EVERY_CHOICE
@WAYS
def test_equal_similarities_give_log_k(
    choice: str, few: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(similarity, "FEW", few)
    set_blocks(monkeypatch, 6, 3)
    same = torch.ones(KEYS, WIDTH, dtype=torch.float64) / 2
    found = Similarities(same[:QUERIES], same[:QUERIES], same, **CHOICES[choice])
    for temperature in (0.01, 0.2, 100.0):
        expected = torch.full((QUERIES,), math.log(found.num_negatives), dtype=torch.float64)
        torch.testing.assert_close(found.log_odds(temperature), expected, rtol=0, atol=1e-12)


@EVERY_CHOICE
@WAYS
@pytest.mark.parametrize("temperature", [0.2, 1e4], ids="t{}".format)
def test_eqco_in_float32_is_right_at_a_very_high_temperature_too(
    choice: str,
    few: int,
    temperature: float,
    embeddings: list[Tensor],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The logarithm of alpha / K is added to the gap, not to similarities that it would drown."""
    monkeypatch.setattr(similarity, "FEW", few)
    narrow = [each.detach().float().requires_grad_() for each in embeddings]
    found, wide = (Similarities(*each, **CHOICES[choice]) for each in (narrow, embeddings))
    expected = as_defined(wide.positive, wide.negatives(), temperature, 256.0)
    eqco, settings = LOSSES["eqco"], {"temperature": temperature, "alpha": 256.0}
    loss = eqco.losses(found, **settings).mean()
    assert loss.item() == pytest.approx(expected, rel=1e-6)
    given = eqco.function(found.positive, found.negatives(), **settings)
    assert given.item() == pytest.approx(expected, rel=1e-6)
    truth = eqco.function(wide.positive, wide.negatives(), **settings)
    gradients = [
        torch.autograd.grad(each, parts, retain_graph=True)
        for each, parts in ((loss, narrow), (given, narrow), (truth, embeddings))
    ]
    for one, other, right in zip(*gradients, strict=True):
        for each in (one, other):
            torch.testing.assert_close(
                each.double(), right, rtol=1e-5, atol=1e-6 * right.abs().max().item()
            )


@EVERY_CHOICE
@WAYS
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32, torch.float64], ids=str)
def test_the_gap_is_float32_at_least_and_autocast_does_not_lower_it(
    choice: str,
    few: int,
    dtype: torch.dtype,
    embeddings: list[Tensor],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(similarity, "FEW", few)
    parts = [each.detach().to(dtype) for each in embeddings]
    outside = Similarities(*parts, **CHOICES[choice])
    with torch.autocast("cpu", torch.bfloat16):
        inside = Similarities(*parts, **CHOICES[choice])
        gap = inside.log_odds(0.07)
    wide = torch.promote_types(dtype, torch.float32)
    assert {gap.dtype, inside.positive.dtype, inside.negatives().dtype} == {wide}
    assert torch.equal(gap, outside.log_odds(0.07))
    exact = Similarities(*(each.double() for each in parts), **CHOICES[choice])
    torch.testing.assert_close(gap.double(), exact.log_odds(0.07), rtol=1e-6, atol=1e-6)


@WAYS
def test_keys_that_have_changed_raise_an_error(
    few: int, embeddings: list[Tensor], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(similarity, "FEW", few)
    query, positive_key, keys = (each.detach() for each in embeddings)
    for chosen in CHOICES.values():
        found = Similarities(query, positive_key, keys, **chosen)
        found.log_odds(0.2)
        keys[3] = 0
        for look in (found.negatives, lambda found=found: found.log_odds(0.2)):
            with pytest.raises(
                RuntimeError,
                match="the queue has changed: compute the loss and its gradient before",
            ):
                look()


# Embeddings of any length with negatives of one's own.


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
