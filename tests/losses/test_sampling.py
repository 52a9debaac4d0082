"""Drawing negatives: never the positive, no key twice, every key equally often."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from scipy import stats
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from eqco.losses import sampling
from eqco.losses.sampling import DRAWINGS, FEW, draw_columns, draw_few, off_diagonal

SIZE = 12  # queries of a batch in these tests
EITHER_DRAWING = pytest.mark.parametrize("drawing", sorted(DRAWINGS))


def test_others_takes_exactly_the_diagonal_away() -> None:
    matrix = torch.arange(25.0).view(5, 5)
    slowly = [[matrix[i, j].item() for j in range(5) if j != i] for i in range(5)]
    assert off_diagonal(matrix).tolist() == slowly


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


def drawn_by_sorting_every_row(
    queries: int, available: int, num_negatives: int, generator: torch.Generator
) -> Tensor:
    """The definition of `draw_few`: sort every row, draw duplicates again, until there is none."""
    columns = torch.randint(available, (queries, num_negatives), generator=generator)
    while True:
        order, places = columns.sort(dim=1)
        twice = torch.zeros_like(columns, dtype=torch.bool)
        twice.scatter_(1, places[:, 1:], order[:, 1:] == order[:, :-1])
        if not twice.any():
            return columns
        columns[twice] = torch.randint(available, (int(twice.sum()),), generator=generator)


SHAPES = [(1, 3, 2), (256, 255, 16), (256, 511, 64), (7, 40, 40), (32, 4096, 256), (9, 65536, 1024)]


@pytest.mark.parametrize(("queries", "available", "num_negatives"), SHAPES, ids=str)
def test_few_are_those_of_sorting_every_row_again(
    queries: int, available: int, num_negatives: int, generator: torch.Generator
) -> None:
    state = generator.get_state()
    found = [draw_few(queries, available, num_negatives, generator), generator.get_state()]
    generator.set_state(state)
    by_sorting = drawn_by_sorting_every_row(queries, available, num_negatives, generator)
    assert torch.equal(found[0], by_sorting)
    assert torch.equal(found[1], generator.get_state())


class CountsSorted(TorchDispatchMode):
    total = 0

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        if str(func).startswith("aten.sort."):
            self.total += max(each.numel() for each in args if isinstance(each, Tensor))
        return func(*args, **(kwargs or {}))


def test_most_numbers_are_sorted_once(generator: torch.Generator) -> None:
    """Nearly every row of 1024 of 65,536 has duplicates, so that a second time doubles the work."""
    with CountsSorted() as counts:
        draw_few(256, 65536, 1024, generator)
    assert 1 <= counts.total / (256 * 1024) < 1.3


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
        assert columns.shape == (len(place), num_negatives * draws)
        assert all(len(set(row)) == num_negatives * draws for row in columns.tolist())
        found.append(columns)
    assert torch.equal(found[1], found[0][places[1]])


def test_a_shared_drawing_is_the_same_for_all_queries_and_an_independent_one_is_not(
    generator: torch.Generator,
) -> None:
    shared, independent = (
        DRAWINGS[name](SIZE, SIZE - 1, 3, generator) for name in ("shared", "independent")
    )
    assert (shared == shared[0]).all()
    assert not (independent == independent[0]).all(dim=1)[1:].any()


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
        counts.scatter_add_(1, columns.view(3, 2), torch.ones(3, 2))
    for observed in counts:
        assert stats.chisquare(observed.tolist()).pvalue > 1e-4


def test_another_thread_that_compiles_does_not_change_a_draw(
    monkeypatch: pytest.MonkeyPatch, generator: torch.Generator
) -> None:
    """torch has one flag for the whole process."""
    before, given = generator.get_state(), {"total": 3, "place": torch.arange(3)}
    alone = draw_columns(2, 5, generator, **given)
    monkeypatch.setattr(torch.compiler, "is_compiling", lambda: True)
    assert torch.equal(draw_columns(2, 5, generator.set_state(before), **given), alone)
