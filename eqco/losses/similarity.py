"""Similarities of queries to their keys, computed no further than a loss needs them.

n queries, M keys, K negatives per query, D dimensions. A loss needs one number per query and
temperature: log sum_i e^{s_i/t} over the negatives. It is computed in blocks that fit the cache,
together with its gradient, so that no n x M matrix is held. Losses that need each negative apart
(`logits`) hold the K similarities of each query.
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
# Taking the K keys of each query costs less than similarities to all keys where K is at most one in
# so many: measured on a CPU, see benchmark/README.md.
FEW = 32
SMALL = 2**17  # similarities; more of them are faster by blocks


def blocks(total: int, size: int) -> Iterator[slice]:
    """Slices of at most `size` that cover `total`."""
    return (slice(start, min(start + size, total)) for start in range(0, total, size))


class LogSumExp(torch.autograd.Function):
    """log sum_i e^{q.k_i} of each query over its negatives, with the gradient by queries and keys.

    The gradient by a query is the softmax-weighted mean of its negatives, which the forward pass
    computes beside the sum. Only where the keys need a gradient, the backward pass computes the
    similarities again.
    """

    @staticmethod
    def forward(
        ctx: Any, query: Tensor, keys: Tensor, columns: Tensor | None, excluded: Tensor | None
    ) -> Tensor:
        """query (n, D), keys (M, D), columns (n, K) or None for all, excluded (n, E): (n,)."""
        block = BLOCK.get(query.device.type, BLOCK_ELSEWHERE)
        if columns is None:
            ctx.width = min(len(keys), MOST_COLUMNS)
            ctx.rows = max(1, block // ctx.width)
        else:
            ctx.width = columns.shape[1]
            ctx.rows = max(1, block // (ctx.width * query.shape[1] // 4 + 1))
        ctx.columns, ctx.excluded = columns, excluded
        sums, means = query.new_empty(len(query)), torch.empty_like(query)
        for rows in blocks(len(query), ctx.rows):
            total, mean = None, None
            for similarity, some, _ in parts(ctx, query, keys, rows):
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
        needed = (query, keys) if ctx.needs_input_grad[1] else ()  # a queue changes before backward
        ctx.save_for_backward(sums, means, *needed)
        return sums

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        """(n,) -> (n, D) and (M, D)."""
        sums, means, *needed = ctx.saved_tensors
        of_query = means * gradient[:, None] if ctx.needs_input_grad[0] else None
        if not ctx.needs_input_grad[1]:
            return of_query, None, None, None
        query, keys = needed
        of_keys = torch.zeros_like(keys)
        for rows in blocks(len(query), ctx.rows):
            for similarity, _, place in parts(ctx, query, keys, rows):
                share = similarity.sub_(sums[rows, None]).exp_().mul_(gradient[rows, None])
                if isinstance(place, slice):
                    of_keys[place].addmm_(share.T, query[rows])
                else:
                    weighted = share[:, :, None] * query[rows, None]  # (r, K, D)
                    of_keys.index_add_(0, place.flatten(), weighted.flatten(0, 1))
        return of_query, of_keys, None, None


def parts(
    ctx: Any, query: Tensor, keys: Tensor, rows: slice
) -> Iterator[tuple[Tensor, Tensor, slice | Tensor]]:
    """Similarities of some queries to parts of the keys, those keys, and which they are."""
    if ctx.columns is not None:
        columns = ctx.columns[rows]
        some = keys[columns]  # (r, K, D)
        yield torch.bmm(some, query[rows, :, None])[:, :, 0], some, columns
        return
    for place in blocks(len(keys), ctx.width):
        some = keys[place]
        similarity = query[rows] @ some.T
        if ctx.excluded is not None:
            none = torch.finfo(similarity.dtype).min  # finite: a part may hold excluded keys alone
            for column in ctx.excluded[rows].unbind(dim=1):
                inside = (column >= place.start) & (column < place.stop)
                at = (column - place.start).clamp(0, len(some) - 1)[:, None]
                kept = torch.where(inside[:, None], none, similarity.gather(1, at))
                similarity.scatter_(1, at, kept)
        yield similarity, some, place


class Similarities:
    """Cosine similarities of a batch, to be given to a loss of `eqco.losses.functional`.

    Args:
        query: embeddings of length 1, shape (n, D).
        positive_key: keys of the same images, shape (n, D).
        keys: keys to take negatives from, shape (M, D).
        columns: which keys are the negatives of each query, shape (n, K); None takes all.
        excluded: keys that are no negatives where all are taken, shape (n, E).
        draws: how many draws of K negatives the columns (n, draws * K) hold side by side. Each draw
            counts as a query: results have n * draws entries, the draws of a query in a row.
    """

    def __init__(
        self,
        query: Tensor,
        positive_key: Tensor,
        keys: Tensor,
        *,
        columns: Tensor | None = None,
        excluded: Tensor | None = None,
        draws: int = 1,
    ) -> None:
        wide = torch.promote_types(query.dtype, torch.float32)
        self.draws = draws
        with torch.autocast(query.device.type, enabled=False):
            self.query, self.keys = query.to(wide), keys.to(wide)
            self.positive = self.for_each_draw((self.query * positive_key.to(wide)).sum(dim=1))
        self.columns = None if columns is None else columns.to(query.device)
        self.excluded = None if excluded is None else excluded.to(query.device)
        self.version = keys._version
        if self.num_negatives < 1:
            raise ValueError(f"no negative is left of {len(keys)} key(s)")

    @property
    def num_negatives(self) -> int:
        """K."""
        if self.columns is not None:
            return self.columns.shape[1] // self.draws
        return len(self.keys) - (0 if self.excluded is None else self.excluded.shape[1])

    def for_each_draw(self, rows: Tensor) -> Tensor:
        """Rows of the n queries, once for each draw: (n, ...) -> (n * draws, ...)."""
        return rows if self.draws == 1 else rows.repeat_interleave(self.draws, dim=0)

    def check_keys(self) -> None:
        """Raise RuntimeError where the keys changed since: a queue takes the next batch's."""
        if self.keys._version != self.version:
            raise RuntimeError(
                "the queue has changed: compute the loss and its gradient before the next batch"
            )

    def to_all(self, query: Tensor) -> Tensor:
        """Products of (n, D) with all keys, (n, M); their gradient needs the keys unchanged."""
        similarity = query @ self.keys.T
        if similarity.requires_grad:
            similarity.register_hook(lambda _: self.check_keys())  # type: ignore[no-untyped-call]
        return similarity

    def gap(self, temperature: float) -> Tensor:
        """log sum_i e^{s_i/t} - s_0/t of each query, shape (n * draws,), float32 or wider."""
        self.check_keys()
        with torch.autocast(self.query.device.type, enabled=False):
            query = self.query / temperature
            if self.uses_matrix():
                similarity = self.to_all(query)  # (n, M)
                if self.columns is not None:
                    similarity = similarity.gather(1, self.columns).view(-1, self.num_negatives)
                elif self.excluded is not None:
                    least = torch.finfo(similarity.dtype).min
                    similarity = similarity.scatter(1, self.excluded, least)
                sums = torch.logsumexp(similarity, dim=1)
            else:
                query, columns = self.for_each_draw(query), self.columns
                if columns is not None:
                    columns = columns.reshape(-1, self.num_negatives)
                sums = LogSumExp.apply(query, self.keys, columns, self.excluded)
            return sums - self.positive / temperature

    def uses_matrix(self) -> bool:
        """Whether all similarities at once are faster than blocks, by measured sizes."""
        if self.columns is not None:
            return self.columns.shape[1] * FEW > len(self.keys)
        return len(self.query) * len(self.keys) <= SMALL

    def negatives(self) -> Tensor:
        """Similarities to the negatives, shape (n * draws, K)."""
        self.check_keys()
        with torch.autocast(self.query.device.type, enabled=False):
            if self.columns is not None and not self.uses_matrix():
                some = self.keys[self.columns]  # (n, draws * K, D)
                similarity = torch.bmm(some, self.query[:, :, None])[:, :, 0]
                return similarity.view(-1, self.num_negatives)
            similarity = self.to_all(self.query)  # (n, M)
        columns = self.columns if self.excluded is None else self.others(self.excluded)
        if columns is None:
            return similarity
        return similarity.gather(1, columns).view(-1, self.num_negatives)

    def others(self, excluded: Tensor) -> Tensor:
        """Columns of all keys but the excluded ones (n, E), shape (n, K)."""
        columns = torch.arange(self.num_negatives, device=excluded.device).expand(len(excluded), -1)
        for column in excluded.sort(dim=1).values.unbind(dim=1):
            columns = columns + (columns >= column[:, None])
        return columns

    def logits(self, temperature: float) -> Tensor:
        """(s_i - s_0)/t of each negative, shape (n * draws, K), float32 or wider."""
        return (self.negatives() - self.positive[:, None]) / temperature
