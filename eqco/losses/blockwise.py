"""log sum_i e^{q.k_i} of queries over their negatives, by blocks that fit the cache.

n queries, M keys, K negatives per query, D dimensions. The gradient comes with the sum, and no
n x M matrix is held.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor


@dataclass(frozen=True)
class Sizes:
    """From which sizes on one way to compute similarities is faster than another.

    Attributes:
        few: the K keys of each query are taken alone where K is at most one in so many keys.
        small: similarities; more of them are computed by blocks.
        block: similarities in a block.
        most_columns: keys in a block.
    """

    few: int
    small: int
    block: int
    most_columns: int


# Measured, see benchmark/README.md. A block of 1 MiB stays in the second-level cache.
ON_CPU = Sizes(few=32, small=2**17, block=2**18, most_columns=2048)
# Not measured. Few launches count, and memory: K keys of 128 dimensions are 128 K numbers, all
# similarities M; a matrix takes 64 MiB, a block 256.
ELSEWHERE = Sizes(few=128, small=2**24, block=2**26, most_columns=2**26)
FEW_WITH_GRADIENT = 128  # `few` on a CPU where the keys need a gradient too


def sizes_on(device: torch.device) -> Sizes:
    """The sizes of a device."""
    return ON_CPU if device.type == "cpu" else ELSEWHERE


def blocks(total: int, size: int) -> Iterator[slice]:
    """Slices of at most `size` that cover `total`."""
    return (slice(start, min(start + size, total)) for start in range(0, total, size))


def block_shape(query: Tensor, keys: Tensor, columns: Tensor | None) -> tuple[int, int]:
    """How many queries and keys a block holds."""
    sizes = sizes_on(query.device)
    if columns is None:
        width = min(len(keys), sizes.most_columns)
        return max(1, sizes.block // width), width
    width = columns.shape[1]
    return max(1, sizes.block // (width * query.shape[1] // 4 + 1)), width


class LogSumExp(torch.autograd.Function):
    """log sum_i e^{q.k_i} of each query over its negatives, with the gradient by queries and keys.

    The gradient by a query is the softmax-weighted mean of its negatives, which the forward pass
    computes beside the sum. Only where the keys need a gradient, the backward pass computes the
    similarities again. It has no second derivative.
    """

    @staticmethod
    def forward(
        query: Tensor, keys: Tensor, columns: Tensor | None, excluded: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        """query (n, D), keys (M, D), columns (n, K) or None for all, excluded (n, E).

        Returns:
            The sums (n,), and the means of the negatives (n, D).
        """
        sums, means = query.new_empty(len(query)), torch.empty_like(query)
        total: Tensor | None
        mean: Tensor | None
        for rows in blocks(len(query), block_shape(query, keys, columns)[0]):
            total = mean = None
            for similarity, block, _ in parts(query, keys, columns, excluded, rows):
                part = torch.logsumexp(similarity, dim=1)
                share = similarity.sub_(part[:, None]).exp_()
                local = share @ block if block.ndim == 2 else torch.bmm(share[:, None], block)[:, 0]
                if total is None or mean is None:
                    total, mean = part, local
                    continue
                both = torch.logaddexp(total, part)
                mean = mean * (total - both).exp()[:, None] + local * (part - both).exp()[:, None]
                total = both
            assert total is not None
            assert mean is not None
            sums[rows], means[rows] = total, mean
        return sums, means

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, Tensor]) -> None:
        """Keep what the backward pass needs: the queue changes before, the keys of a batch not."""
        query, keys, columns, excluded = inputs
        needed = (query, keys, columns, excluded) if ctx.needs_input_grad[1] else ()
        ctx.save_for_backward(*output, *needed)
        ctx.mark_non_differentiable(output[1])
        ctx.set_materialize_grads(False)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor | None, of_means: None) -> tuple[Tensor | None, ...]:
        """(n,) -> (n, D) and (M, D).

        Raises:
            RuntimeError: a graph of the gradient is asked for, which would be wrong.
        """
        if torch.is_grad_enabled() and not torch.compiler.is_compiling():
            raise RuntimeError(
                "a loss of so many similarities is computed by blocks and has no second derivative "
                "(create_graph=True): take torch.func, which holds all similarities"
            )
        if gradient is None:
            return None, None, None, None
        sums, means, *needed = ctx.saved_tensors
        of_query = means * gradient[:, None] if ctx.needs_input_grad[0] else None
        if not ctx.needs_input_grad[1]:
            return of_query, None, None, None
        query, keys, columns, excluded = needed
        of_keys = torch.zeros_like(keys)
        for rows in blocks(len(query), block_shape(query, keys, columns)[0]):
            for similarity, _, place in parts(query, keys, columns, excluded, rows):
                share = similarity.sub_(sums[rows, None]).exp_().mul_(gradient[rows, None])
                if isinstance(place, slice):
                    of_keys[place].addmm_(share.T, query[rows])
                else:
                    weighted = share[:, :, None] * query[rows, None]  # (r, K, D)
                    of_keys.index_add_(0, place.flatten(), weighted.flatten(0, 1))
        return of_query, of_keys, None, None


def parts(
    query: Tensor, keys: Tensor, columns: Tensor | None, excluded: Tensor | None, rows: slice
) -> Iterator[tuple[Tensor, Tensor, slice | Tensor]]:
    """Similarities of some queries to parts of the keys, those keys, and which they are."""
    if columns is not None:
        block = keys[columns[rows]]  # (r, K, D)
        yield torch.bmm(block, query[rows, :, None])[:, :, 0], block, columns[rows]
        return
    for place in blocks(len(keys), block_shape(query, keys, columns)[1]):
        block = keys[place]
        similarity = query[rows] @ block.T
        if excluded is not None:
            exclude(similarity, excluded[rows], place, len(keys))
        yield similarity, block, place


def exclude(similarity: Tensor, excluded: Tensor, place: slice, total: int) -> None:
    """Set similarities (n, M') to excluded keys to the least number, in place.

    Finite, for a part may hold excluded keys alone.

    Args:
        similarity: to the keys of a place among all.
        excluded: among all keys, shape (n, E).
        place: where the M' keys are.
        total: M.
    """
    least = torch.finfo(similarity.dtype).min
    if similarity.shape[1] == total:
        similarity.scatter_(1, excluded, least)
        return
    for column in excluded.unbind(dim=1):
        inside = (column >= place.start) & (column < place.stop)
        at = (column - place.start).clamp(0, similarity.shape[1] - 1)[:, None]
        kept = torch.where(inside[:, None], least, similarity.gather(1, at))
        similarity.scatter_(1, at, kept)
