"""Similarities: every way to compute the gap agrees with a matrix of all similarities."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from eqco.losses import blockwise
from eqco.losses.blockwise import Sizes
from eqco.losses.functional import eqco_info_nce
from eqco.losses.logits import similarities
from eqco.losses.similarity import Similarities
from tests.formulas import eqco
from tests.processes import python

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
    ("block", "most_columns"), [(0, 0), (1, 1), (2, 2), (6, 3), (25, 5), (33, 2048), (2**18, 2048)]
)


@pytest.fixture
def embeddings(generator: torch.Generator) -> list[Tensor]:
    """Queries, positive keys and keys of length 1, float64, which need a gradient."""
    shapes = ((QUERIES, WIDTH), (QUERIES, WIDTH), (KEYS, WIDTH))
    draws = [torch.randn(shape, generator=generator, dtype=torch.float64) for shape in shapes]
    return [F.normalize(each, dim=1).requires_grad_() for each in draws]


def set_blocks(monkeypatch: pytest.MonkeyPatch, block: int, most_columns: int) -> None:
    """So many similarities in a block, of so many keys at most."""
    few = 10**9 if block == 0 else 0  # no block: the whole matrix
    sizes = Sizes(few=few, small=few, block=block, most_columns=most_columns)
    monkeypatch.setattr(blockwise, "ON_CPU", sizes)


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


def test_no_matrix_of_all_similarities_is_held() -> None:
    """Of 4,096 queries and keys, or of 256 and a queue of 65,536, it would take 64 MiB."""

    def peak(code: str, *sizes: int) -> float:
        return float(python("-m", "benchmark.memory", code, *sizes).stdout)

    assert peak("plain", 4096, 0, 0) > 64  # the measurement finds a matrix that is held
    for sizes in ((4096, 0, 0), (4096, 16, 0), (256, 0, 65536)):
        assert peak("ours", *sizes) < 32, sizes


# Embeddings of any length with negatives of one's own.


@pytest.mark.parametrize("keys_of_its_own", [False, True], ids=["shared-keys", "own-keys"])
def test_similarities_are_cosines(generator: torch.Generator, keys_of_its_own: bool) -> None:
    query, key = torch.randn(2, 5, 8, generator=generator)
    others = torch.randn((5, 9, 8) if keys_of_its_own else (9, 8), generator=generator)
    positive = F.cosine_similarity(query, key)
    rows = others if keys_of_its_own else others.expand(5, 9, 8)
    negatives = F.cosine_similarity(query[:, None], rows, dim=2)
    found = similarities(3 * query, key, 7 * others)
    loss = eqco_info_nce(*found, temperature=0.1, alpha=64)
    torch.testing.assert_close(loss, eqco(positive, negatives, 0.1, 64.0).mean())


def test_cosines_are_not_rounded_to_bfloat16_by_autocast(generator: torch.Generator) -> None:
    query, key, others = torch.randn(3, 6, 32, generator=generator)
    outside = similarities(query, key, others)
    with torch.autocast("cpu", torch.bfloat16):
        inside = similarities(query, key, others)
    for one, other in zip(inside, outside, strict=True):
        assert one.dtype == torch.float32
        torch.testing.assert_close(one, other, rtol=0, atol=1e-6)


def test_one_equal_key_and_a_collapsed_encoder_are_no_mistake(generator: torch.Generator) -> None:
    query, key, other = torch.randn(3, 6, 8, generator=generator)
    other[3] = key[0]
    similarities(query, key, other)
    similarities(query, torch.ones(6, 8), torch.ones(4, 8))
