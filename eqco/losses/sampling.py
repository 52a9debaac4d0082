"""How negatives are drawn for each query. N queries, M keys to draw from, K negatives a draw."""

from __future__ import annotations

import torch
from torch import Tensor


def check_count(num_negatives: int, available: int, draws: int = 1) -> None:
    """Raise ValueError where disjoint draws of K negatives do not fit into `available` keys."""
    if num_negatives < 1:
        raise ValueError(f"num_negatives must be at least 1, got {num_negatives}")
    if num_negatives > available:
        raise ValueError(
            f"num_negatives is {num_negatives}, but only {available} negatives are there: "
            f"ask for {available} or fewer, or enlarge the batch"
        )
    if not 1 <= draws <= available // num_negatives:
        raise ValueError(
            f"draws is {draws}, but {available} negatives are enough for 1 to "
            f"{available // num_negatives} disjoint draws of {num_negatives}"
        )


def others(similarity: Tensor, first: int = 0) -> Tensor:
    """Remove each row's positive: (n, M) -> (n, M - 1).

    Args:
        similarity: n queries against M keys; the positive of row i stands in column `first` + i.
        first: place of the first query in the whole batch; 0 on one process.
    """
    rows, size = len(similarity), similarity.shape[-1]
    if similarity.ndim != 2 or size < 2 or first + rows > size:
        raise ValueError(
            f"similarity must be (N, N) with N >= 2, or rows of it, got {tuple(similarity.shape)}"
        )
    if rows < size:
        keep = torch.ones(rows, size, dtype=torch.bool, device=similarity.device)
        keep[:, first : first + rows].fill_diagonal_(False)
        return similarity[keep].view(rows, size - 1)
    # Shifted by one, each row of N + 1 entries starts just behind a diagonal entry.
    return similarity.flatten()[1:].view(size - 1, size + 1)[:, :-1].reshape(size, size - 1)


# Up to one key in so many, rejection sampling of K keys is cheaper than one random number per key.
FEW = 8


def draw_few(
    num_queries: int, available: int, num_negatives: int, generator: torch.Generator
) -> Tensor:
    """Columns (N, K), distinct in each row, by rejection sampling: duplicates are drawn again.

    All sets of K keys are equally likely. The work grows with K, not with the size of the queue.
    """
    columns = torch.randint(available, (num_queries, num_negatives), generator=generator)
    while True:
        order, places = columns.sort(dim=1)
        twice = torch.zeros_like(columns, dtype=torch.bool)
        twice.scatter_(1, places[:, 1:], order[:, 1:] == order[:, :-1])
        again = int(twice.sum())
        if not again:
            return columns
        columns[twice] = torch.randint(available, (again,), generator=generator)


def draw_independent(
    num_queries: int, available: int, num_negatives: int, generator: torch.Generator, draws: int = 1
) -> Tensor:
    """Columns (N, draws * K), draw by draw: each query has its own, without replacement."""
    check_count(num_negatives, available, draws)
    count = num_negatives * draws
    if count * FEW <= available:
        return draw_few(num_queries, available, count, generator)
    scores = torch.rand(num_queries, available, generator=generator)
    return scores.topk(count, dim=1, sorted=draws > 1).indices  # sorted is a random order


def draw_shared(
    num_queries: int, available: int, num_negatives: int, generator: torch.Generator, draws: int = 1
) -> Tensor:
    """Columns (N, draws * K): one permutation for all queries, as in the authors' code.

    Row i of the off-diagonal matrix skips the positive, so column c is key c or c + 1: the batch
    sees at most 2K distinct keys in a draw.
    """
    check_count(num_negatives, available, draws)
    columns = torch.randperm(available, generator=generator)[: num_negatives * draws]
    return columns.expand(num_queries, num_negatives * draws)


DRAWINGS = {"independent": draw_independent, "shared": draw_shared}


def draw_columns(
    num_negatives: int,
    available: int,
    generator: torch.Generator,
    drawing: str,
    *,
    total: int,
    place: Tensor,
    draws: int = 1,
) -> Tensor | None:
    """Draw K of the M keys that may be negatives, for each query of this process.

    Args:
        num_negatives: K, from 1 to M; M takes all and draws nothing.
        available: M.
        generator: CPU generator, so that every device draws the same.
        drawing: "independent" per query, or "shared", one permutation for all queries.
        total: queries in the whole batch; every process draws for all of them.
        place: indices of this process's queries in the batch, shape (n,).
        draws: how many disjoint draws of K.

    Returns:
        Columns (n, draws * K), from 0 to M - 1, the draws side by side; None for all in one draw.

    Raises:
        ValueError: K or draws is out of its range.
    """
    check_count(num_negatives, available, draws)
    if num_negatives == available:
        return None
    return DRAWINGS[drawing](total, available, num_negatives, generator, draws)[place]


def skip(columns: Tensor, own: Tensor) -> Tensor:
    """Columns (n, K) among the other keys, as columns among all: those from `own` (n,) on move."""
    return columns + (columns >= own[:, None])
