"""log sum_i e^{q.k_i} of queries over their negatives, by blocks that fit the cache.

n queries, M keys, K negatives per query, D dimensions. The gradient is computed with the sums, so
that no n x M matrix is held.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

# Similarities in a block. On a CPU a block of 1 MiB stays in the second-level cache.
BLOCK = {"cpu": 2**18}
BLOCK_ELSEWHERE = 2**26
MOST_COLUMNS = 2048


def blocks(total: int, size: int) -> Iterator[slice]:
    """Slices of at most `size` that cover `total`."""
    return (slice(start, min(start + size, total)) for start in range(0, total, size))


def block_shape(query: Tensor, keys: Tensor, columns: Tensor | None) -> tuple[int, int]:
    """How many queries and keys a block holds."""
    block = BLOCK.get(query.device.type, BLOCK_ELSEWHERE)
    if columns is None:
        width = min(len(keys), MOST_COLUMNS)
        return max(1, block // width), width
    width = columns.shape[1]
    return max(1, block // (width * query.shape[1] // 4 + 1)), width


class LogSumExp(torch.autograd.Function):
    """log sum_i e^{q.k_i} of each query over its negatives, with the gradient by queries and keys.

    The gradient by a query is the softmax-weighted mean of its negatives, which the forward pass
    computes beside the sum. Only where the keys need a gradient, the backward pass computes the
    similarities again.
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
            for similarity, some, _ in parts(query, keys, columns, excluded, rows):
                part = torch.logsumexp(similarity, dim=1)
                share = similarity.sub_(part[:, None]).exp_()
                own = share @ some if some.ndim == 2 else torch.bmm(share[:, None], some)[:, 0]
                if total is None or mean is None:
                    total, mean = part, own
                    continue
                both = torch.logaddexp(total, part)
                mean = mean * (total - both).exp()[:, None] + own * (part - both).exp()[:, None]
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
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor | None, of_means: None) -> tuple[Tensor | None, ...]:
        """(n,) -> (n, D) and (M, D)."""
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
        some = keys[columns[rows]]  # (r, K, D)
        yield torch.bmm(some, query[rows, :, None])[:, :, 0], some, columns[rows]
        return
    for place in blocks(len(keys), block_shape(query, keys, columns)[1]):
        some = keys[place]
        similarity = query[rows] @ some.T
        if excluded is not None:
            none = torch.finfo(similarity.dtype).min  # finite: a part may hold excluded keys alone
            for column in excluded[rows].unbind(dim=1):
                inside = (column >= place.start) & (column < place.stop)
                at = (column - place.start).clamp(0, len(some) - 1)[:, None]
                kept = torch.where(inside[:, None], none, similarity.gather(1, at))
                similarity.scatter_(1, at, kept)
        yield similarity, some, place
