"""Drawing negatives: never the positive, no key twice, every key equally often."""

from __future__ import annotations

import pytest
import torch
from scipy import stats
from torch import Tensor

from eqco.losses import sampling
from eqco.losses.sampling import DRAWINGS, FEW, draw_columns, draw_few, off_diagonal, skip

SIZE = 12  # queries of a batch in these tests
EITHER_DRAWING = pytest.mark.parametrize("drawing", sorted(DRAWINGS))


def keys_drawn(num_negatives: int, generator: torch.Generator, drawing: str) -> Tensor:
    """Numbers of the keys that each query got, (N, K): query i never draws key i."""
    own = torch.arange(SIZE)
    columns = draw_columns(num_negatives, SIZE - 1, generator, drawing, total=SIZE, place=own)
    if columns is None:  # all
        return off_diagonal(torch.arange(SIZE).expand(SIZE, SIZE))
    return skip(columns, own)


def test_others_takes_exactly_the_diagonal_away() -> None:
    matrix = torch.arange(25.0).view(5, 5)
    slowly = [[matrix[i, j].item() for j in range(5) if j != i] for i in range(5)]
    assert off_diagonal(matrix).tolist() == slowly


def test_others_carries_the_gradient_of_every_entry_but_the_diagonal() -> None:
    matrix = torch.zeros(4, 4, requires_grad=True)
    off_diagonal(matrix).sum().backward()
    assert torch.equal(matrix.grad, 1 - torch.eye(4))


@pytest.mark.parametrize("shape", [(4, 3), (1, 1), (2, 2, 2)], ids=str)
def test_others_needs_a_square_of_two_or_more(
    shape: tuple[int, ...],
) -> None:
    with pytest.raises(ValueError, match="similarity must be"):
        off_diagonal(torch.zeros(shape))


@EITHER_DRAWING
def test_processes_draw_the_rows_that_one_process_draws(drawing: str) -> None:
    def drawn(place: Tensor) -> Tensor:
        draw = torch.Generator().manual_seed(1)
        columns = draw_columns(3, 5, draw, drawing, total=6, place=place)
        assert columns is not None
        return columns

    whole = drawn(torch.arange(6))
    for first in (0, 3):
        assert torch.equal(drawn(torch.arange(first, first + 3)), whole[first : first + 3])
    assert torch.equal(drawn(torch.tensor([4, 1])), whole[[4, 1]])


def test_skipping_ones_own_key_leaves_the_others_in_their_order() -> None:
    own, columns = torch.tensor([0, 2, 4]), torch.arange(4).expand(3, 4)
    slowly = [[key for key in range(5) if key != one] for one in own.tolist()]
    assert skip(columns, own).tolist() == slowly
    assert skip(columns[:, [3, 0]], own).tolist() == [[row[3], row[0]] for row in slowly]


@EITHER_DRAWING
@pytest.mark.parametrize("num_negatives", [1, 4, SIZE - 2, SIZE - 1], ids="k{}".format)
def test_a_query_never_draws_its_own_key_nor_any_key_twice(
    drawing: str, num_negatives: int, generator: torch.Generator
) -> None:
    for _ in range(50):
        keys = keys_drawn(num_negatives, generator, drawing)
        assert keys.shape == (SIZE, num_negatives)
        for query, row in enumerate(keys.tolist()):
            assert query not in row
            assert len(set(row)) == num_negatives


@EITHER_DRAWING
def test_all_other_keys_are_taken_where_k_is_all_there_are(
    drawing: str, generator: torch.Generator
) -> None:
    """None says so, and no random number is drawn; a drawing of all would find the same keys."""
    before, own = generator.get_state(), torch.arange(SIZE)
    assert draw_columns(SIZE - 1, SIZE - 1, generator, drawing, total=SIZE, place=own) is None
    assert torch.equal(generator.get_state(), before)
    keys = skip(DRAWINGS[drawing](SIZE, SIZE - 1, SIZE - 1, generator), own)
    for every in (keys, keys_drawn(SIZE - 1, generator, drawing)):
        assert [set(row) for row in every.tolist()] == [
            set(range(SIZE)) - {i} for i in own.tolist()
        ]


@EITHER_DRAWING
def test_every_other_key_is_drawn_equally_often(drawing: str, generator: torch.Generator) -> None:
    """Chi-square per query at 1e-4, so that a right drawing fails once in 800 seeds."""
    rounds, num_negatives = 3000, 3
    counts = torch.zeros(SIZE, SIZE)
    for _ in range(rounds):
        keys = keys_drawn(num_negatives, generator, drawing)
        counts.scatter_add_(1, keys, torch.ones(SIZE, num_negatives))
    for observed in off_diagonal(counts).tolist():
        assert sum(observed) == rounds * num_negatives
        assert stats.chisquare(observed).pvalue > 1e-4


def test_the_chi_square_test_finds_a_drawing_that_favours_keys(generator: torch.Generator) -> None:
    lots = torch.rand(3000, SIZE - 1, generator=generator)
    lots[:, 0] += 0.1
    observed = torch.bincount(lots.topk(3, dim=1).indices.flatten(), minlength=SIZE - 1)
    assert stats.chisquare(observed.tolist()).pvalue < 1e-4


def test_independent_queries_draw_different_keys(generator: torch.Generator) -> None:
    """Two queries that draw 3 of 11 keys agree in all three with probability 1 / 165."""
    agreeing = 0
    for _ in range(100):
        columns = DRAWINGS["independent"](2, SIZE - 1, 3, generator)
        agreeing += set(columns[0].tolist()) == set(columns[1].tolist())
    assert agreeing < 10


@pytest.mark.parametrize("num_negatives", [1, 2, 4], ids="k{}".format)
def test_a_shared_drawing_shows_the_batch_at_most_2k_keys(
    num_negatives: int, generator: torch.Generator
) -> None:
    """The authors' released code does the same: one permutation for all queries."""
    seen = [len(keys_drawn(num_negatives, generator, "shared").unique()) for _ in range(100)]
    assert max(seen) <= 2 * num_negatives
    whole = [len(keys_drawn(num_negatives, generator, "independent").unique()) for _ in range(100)]
    assert max(whole) > 2 * num_negatives


@EITHER_DRAWING
def test_the_same_generator_draws_the_same_keys(drawing: str) -> None:
    first, second, third = (
        keys_drawn(4, torch.Generator().manual_seed(seed), drawing) for seed in (3, 3, 4)
    )
    assert torch.equal(first, second)
    assert not torch.equal(first, third)


@EITHER_DRAWING
@pytest.mark.parametrize(
    ("num_negatives", "message"),
    [
        (0, "num_negatives must be at least 1, got 0"),
        (-3, "num_negatives must be at least 1, got -3"),
        (SIZE, f"num_negatives is {SIZE}, but only {SIZE - 1} negatives are there"),
    ],
    ids=["zero", "below-zero", "too-many"],
)
def test_k_out_of_range_is_named(
    drawing: str, num_negatives: int, message: str, generator: torch.Generator
) -> None:
    with pytest.raises(ValueError, match=message):
        keys_drawn(num_negatives, generator, drawing)
    with pytest.raises(ValueError, match=message):
        DRAWINGS[drawing](SIZE, SIZE - 1, num_negatives, generator)


@pytest.mark.parametrize("num_negatives", [1, 3, 30], ids="k{}".format)
def test_few_of_many_are_distinct_and_equally_often(
    num_negatives: int, generator: torch.Generator
) -> None:
    """Thirty of 40 are drawn again and again until they differ; chi-square at 1e-4."""
    keys = draw_few(4000, 40, num_negatives, generator)
    assert keys.shape == (4000, num_negatives)
    assert all(len(set(row)) == num_negatives for row in keys.tolist())
    observed = torch.bincount(keys.flatten(), minlength=40).tolist()
    assert stats.chisquare(observed).pvalue > 1e-4


def test_pairs_of_few_are_equally_often_too(generator: torch.Generator) -> None:
    keys = draw_few(9000, 5, 2, generator).sort(dim=1).values
    observed = torch.bincount(keys[:, 0] * 5 + keys[:, 1], minlength=25)
    assert (observed > 0).sum() == 10
    assert stats.chisquare(observed[observed > 0].tolist()).pvalue > 1e-4


@pytest.mark.parametrize("available", [40, 2048], ids="of{}".format)
def test_few_are_drawn_again_and_many_are_sorted(
    available: int, generator: torch.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Up to one key in FEW is drawn by `draw_few`, one more is not; both are distinct keys."""
    calls = []
    monkeypatch.setattr(sampling, "draw_few", lambda *given: calls.append(0) or draw_few(*given))
    limit = available // FEW
    for num_negatives, few in ((1, 1), (limit, 1), (limit + 1, 0), (available // 2, 0)):
        calls.clear()
        keys = DRAWINGS["independent"](50, available, num_negatives, generator)
        assert len(calls) == few
        assert keys.shape == (50, num_negatives)
        assert all(len(set(row)) == num_negatives for row in keys.tolist())
        assert keys.min() >= 0
        assert keys.max() < available


@EITHER_DRAWING
@pytest.mark.parametrize(("num_negatives", "draws"), [(3, 1), (3, 2), (1, 11), (5, 2)])
def test_draws_are_disjoint_and_processes_agree_on_them(
    drawing: str, num_negatives: int, draws: int, generator: torch.Generator
) -> None:
    state, places = generator.get_state(), (torch.arange(SIZE), torch.tensor([7, 2]))
    found = []
    for place in places:
        generator.set_state(state)
        columns = draw_columns(
            num_negatives, SIZE - 1, generator, drawing, total=SIZE, place=place, draws=draws
        )
        assert columns is not None
        assert columns.shape == (len(place), num_negatives * draws)
        assert all(len(set(row)) == num_negatives * draws for row in columns.tolist())
        found.append(columns)
    assert torch.equal(found[1], found[0][places[1]])


@EITHER_DRAWING
@pytest.mark.parametrize("available", [6, 100], ids=["by-order", "by-rejection"])
def test_every_key_falls_into_every_draw_equally_often(
    drawing: str, available: int, generator: torch.Generator
) -> None:
    """A partition into 3 draws of 2 (of 100: a part of it), chi-square at 1e-4.

    The keys of a plain drawing of all come nearly in their own order, which would fail.
    """
    rounds = 4000
    counts = torch.zeros(3, available)
    for _ in range(rounds):
        columns = draw_columns(
            2, available, generator, drawing, total=2, place=torch.tensor([1]), draws=3
        )
        assert columns is not None
        counts.scatter_add_(1, columns.view(3, 2), torch.ones(3, 2))
    for observed in counts:
        assert stats.chisquare(observed.tolist()).pvalue > 1e-4


def test_draws_that_do_not_fit_are_an_error(generator: torch.Generator) -> None:
    message = "draws is 3, but 11 negatives are enough for 1 to 2 disjoint draws of 4"
    with pytest.raises(ValueError, match=message):
        draw_columns(4, 11, generator, "shared", total=12, place=torch.arange(12), draws=3)
    with pytest.raises(ValueError, match="draws is 0, but"):
        draw_columns(4, 11, generator, "shared", total=12, place=torch.arange(12), draws=0)
