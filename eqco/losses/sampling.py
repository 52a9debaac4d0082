"""Which keys are the negatives of each query. N queries, K negatives of M keys in a draw."""

from __future__ import annotations

import torch
from torch import Tensor

from eqco.runtime.validation import shown

# Up to one key in so many, rejection sampling of K keys is cheaper than one random number per key.
FEW = 8
# From so many negatives on, looking up new keys is cheaper than sorting their rows again.
MANY = 64


def check_count(num_negatives: int, available: int, draws: int = 1) -> None:
    """Raise ValueError where disjoint draws of K negatives do not fit into `available` keys."""
    if num_negatives < 1:
        raise ValueError(f"num_negatives must be at least 1, got {num_negatives}")
    if num_negatives > available:
        raise ValueError(
            f"num_negatives is {num_negatives}, but only {available} negatives are available: ask "
            f"for {available} or fewer, enlarge the batch, or drop a smaller last one "
            "(drop_last=True of a DataLoader)"
        )
    if not 1 <= draws <= available // num_negatives:
        raise ValueError(
            f"draws is {draws}, but {available} negatives are enough for 1 to "
            f"{available // num_negatives} disjoint draws of {num_negatives}"
        )


def check_generator(generator: object) -> None:
    """Raise ValueError where this is no CPU generator, from which every device draws the same."""
    if not isinstance(generator, torch.Generator) or generator.device.type != "cpu":
        raise ValueError(f"generator must be a torch.Generator of the CPU, got {shown(generator)}")


def has_known(order: Tensor, where: Tensor, new: Tensor, available: int) -> Tensor:
    """Whether a number is in its row already, or twice among the new ones of it, shape (R,).

    Args:
        order: the rows, sorted, shape (R, K).
        where: the row of each new number, shape (P,).
        new: the new numbers, below `available`, shape (P,).
        available: M; row r is moved by r M, so that all rows are one sorted row.
    """
    first = available * torch.arange(len(order), device=order.device)
    known, new = (order + first[:, None]).flatten(), (new + first[where]).sort().values
    twice = known[torch.searchsorted(known, new).clamp_(max=len(known) - 1)] == new
    twice[1:] |= new[1:] == new[:-1]
    return torch.zeros_like(first, dtype=torch.bool).index_fill_(0, new[twice] // available, True)


def draw_few(
    num_queries: int, available: int, num_negatives: int, generator: torch.Generator
) -> Tensor:
    """Columns (N, K), distinct in each row, by rejection sampling: duplicates are drawn again.

    All sets of K keys are equally likely. The work grows with K, not with the size of the queue.
    """

    def numbers(*shape: int) -> Tensor:
        return torch.randint(available, shape, generator=generator, device=generator.device)

    columns = numbers(num_queries, num_negatives)
    rows = torch.arange(num_queries, device=generator.device)  # those that may have duplicates
    while len(rows):
        drawn = columns[rows]
        order, places = drawn.sort(dim=1)
        twice = torch.zeros_like(drawn, dtype=torch.bool)
        twice.scatter_(1, places[:, 1:], order[:, 1:] == order[:, :-1])
        where = twice.nonzero()[:, 0]
        drawn[twice] = new = numbers(len(where))
        columns[rows] = drawn
        many = num_negatives >= MANY
        rows = rows[has_known(order, where, new, available) if many else twice.any(dim=1)]
    return columns


def draw_independent(
    num_queries: int, available: int, num_negatives: int, generator: torch.Generator, draws: int = 1
) -> Tensor:
    """Columns (N, draws * K), draw by draw: each query has its own, without replacement."""
    count = num_negatives * draws
    if count * FEW <= available:
        return draw_few(num_queries, available, count, generator)
    on, dtype = generator.device, torch.float32  # not the user's defaults
    scores = torch.rand(num_queries, available, generator=generator, device=on, dtype=dtype)
    return scores.topk(count, dim=1, sorted=draws > 1).indices  # sorted is a random order


def draw_shared(
    num_queries: int, available: int, num_negatives: int, generator: torch.Generator, draws: int = 1
) -> Tensor:
    """Columns (N, draws * K): one permutation for all queries, as in the authors' code.

    Row i of the off-diagonal matrix skips the positive, so column c is key c or c + 1: the batch
    sees at most 2K distinct keys in a draw.
    """
    order = torch.randperm(available, generator=generator, device=generator.device)
    return order[: num_negatives * draws].expand(num_queries, num_negatives * draws)


DRAWINGS = {"independent": draw_independent, "shared": draw_shared}


def draw_columns(
    num_negatives: int,
    available: int,
    generator: torch.Generator | None,
    drawing: str = "independent",
    *,
    total: int,
    place: Tensor,
    draws: int = 1,
) -> Tensor | None:
    """Draw K of the M keys that may be negatives, for each query of this process.

    Args:
        num_negatives: K, from 1 to M; M takes all and draws nothing.
        available: M.
        generator: CPU generator, so that every device draws the same; None takes torch's own, which
            is the only one that torch.compile traces.
        drawing: "independent" per query, or "shared", one permutation for all queries.
        total: queries in the whole batch; every process draws for all of them.
        place: indices of this process's queries in the batch, shape (n,), on the CPU.
        draws: how many disjoint draws of K.

    Returns:
        Columns (n, draws * K), from 0 to M - 1, the draws side by side; None for all in one draw.

    Raises:
        ValueError: K or draws is out of its range.
        RuntimeError: torch.compile meets a generator.
    """
    check_count(num_negatives, available, draws)
    if num_negatives == available:
        return None
    # `is_compiling` would also say that another thread compiles, while this one draws ahead.
    if torch.compiler.is_dynamo_compiling() or torch.compiler.is_exporting():
        if generator is not None:
            raise RuntimeError("torch.compile needs generator=None: it traces torch's own alone")
        scores = torch.rand(len(place), available, device=place.device)
        return scores.topk(num_negatives, dim=1, sorted=False).indices
    generator = generator or torch.default_generator
    return DRAWINGS[drawing](total, available, num_negatives, generator, draws)[place]


def draw_allowed(
    num_negatives: int,
    allowed: Tensor,
    generator: torch.Generator | None,
    *,
    total: int,
    place: Tensor,
) -> Tensor:
    """Draw K of the keys that each query allows, all of them where it allows fewer.

    Args:
        num_negatives: K, at least 1.
        allowed: the keys that may be negatives of each query of this process, shape (n, M).
        generator: as in `draw_columns`.
        total: queries in the whole batch.
        place: indices of this process's queries in the batch, shape (n,).

    Returns:
        The keys that are, shape (n, M).
    """
    count, available = min(num_negatives, allowed.shape[1]), allowed.shape[1]
    if torch.compiler.is_compiling():
        scores = torch.rand(allowed.shape, device=allowed.device)
    else:
        drawn = torch.rand(total, available, generator=generator, device="cpu", dtype=torch.float32)
        scores = drawn[place.cpu()].to(allowed.device)
    drawn = torch.zeros_like(allowed)
    columns = scores.where(allowed, -1.0).topk(count, dim=1, sorted=False).indices
    return drawn.scatter(1, columns, True) & allowed


def skip(columns: Tensor, own: Tensor) -> Tensor:
    """Columns (n, K) among the other keys, as columns among all: those from `own` (n,) on move."""
    return columns + (columns >= own[:, None])


def off_diagonal(similarity: Tensor) -> Tensor:
    """Remove each row's positive, which stands on the diagonal: (N, N) -> (N, N - 1)."""
    size = len(similarity)
    if similarity.shape != (size, size) or size < 2:
        raise ValueError(f"similarity must be (N, N) with N >= 2, got {tuple(similarity.shape)}")
    # Shifted by one, each row of N + 1 entries starts just behind a diagonal entry.
    return similarity.flatten()[1:].view(size - 1, size + 1)[:, :-1].reshape(size, size - 1)
