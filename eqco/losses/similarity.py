"""Cosine similarities of queries to their keys, computed no further than a loss needs them.

N queries of a batch, n of them on this process, M keys, K negatives per query, D dimensions. A loss
needs one number per query and temperature: log sum_i e^{s_i/t} over the negatives. Where it is
computed by blocks that fit the cache, its gradient comes with it and no n x M matrix is held.
Losses that need each negative apart (`relative`) hold the K similarities of each query.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from eqco.losses.sampling import skip
from eqco.losses.tensors import full_precision, wide
from eqco.runtime.transfer import to_device


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


class Similarities:
    """Cosine similarities of a batch, as `ContrastiveLogits` for a loss.

    Args:
        query: embeddings of length 1, shape (n, D).
        positive_key: keys of the same images, shape (n, D).
        keys: keys to take negatives from, shape (M, D).
        columns: which keys are the negatives of each query, shape (n, K); None takes all.
        excluded: keys that are no negatives where all are taken, shape (n, E).
        draws: how many draws of K negatives the columns (n, draws * K) hold side by side. Each draw
            counts as a query: results have n * draws entries, the draws of a query in a row.

    Attributes:
        few: instead of the usual one, which rounds as the committed runs did.
    """

    few: int | None = None

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
        dtype = wide(query.dtype)
        self.draws = draws
        with full_precision(query):
            self.query, self.keys = query.to(dtype), keys.to(dtype)
            self.positive = self.for_each_draw((self.query * positive_key.to(dtype)).sum(dim=1))
        self.columns = None if columns is None else to_device(columns, query.device)
        self.excluded = None if excluded is None else to_device(excluded, query.device)
        self.version = version(keys)
        if self.num_negatives < 1:
            raise ValueError(f"no negatives are left: all {len(keys)} key(s) are excluded")

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
        if version(self.keys) != self.version:
            raise RuntimeError(
                "the queue has changed: compute the loss and its gradient before the next batch"
            )

    def to_all(self, query: Tensor) -> Tensor:
        """Products of (n, D) with all keys, (n, M); their gradient needs the keys unchanged."""
        similarity = query @ self.keys.T
        if similarity.requires_grad and not torch.compiler.is_compiling():
            similarity.register_hook(lambda _: self.check_keys())  # type: ignore[no-untyped-call]
        return similarity

    def log_odds(self, temperature: float | Tensor) -> Tensor:
        """log sum_i e^{s_i/t} - s_0/t of each query, shape (n * draws,), float32 or wider."""
        self.check_keys()
        with full_precision(self.query):
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
                sums = LogSumExp.apply(query, self.keys, columns, self.excluded)[0]
            return sums - self.positive / temperature

    def uses_matrix(self) -> bool:
        """Whether all similarities at once are faster than blocks, by measured sizes.

        Inside of torch.func's transforms they are right too: there a gradient may have its own.
        """
        if not torch.compiler.is_compiling() and torch._C._functorch.peek_interpreter_stack():
            return True
        sizes = sizes_on(self.query.device)
        if self.columns is not None:
            return self.columns.shape[1] * (self.few or sizes.few) > len(self.keys)
        return len(self.query) * len(self.keys) <= sizes.small

    def negatives(self) -> Tensor:
        """Similarities to the negatives, shape (n * draws, K)."""
        self.check_keys()
        with full_precision(self.query):
            if self.columns is not None and not self.uses_matrix():
                negatives = self.keys[self.columns]  # (n, draws * K, D)
                similarity = torch.bmm(negatives, self.query[:, :, None])[:, :, 0]
                return similarity.view(-1, self.num_negatives)
            similarity = self.to_all(self.query)  # (n, M)
        columns = self.columns if self.excluded is None else self.others(self.excluded)
        if columns is None:
            return similarity
        return similarity.gather(1, columns).view(-1, self.num_negatives)

    def others(self, excluded: Tensor) -> Tensor:
        """Columns of all keys but the excluded ones (n, E), shape (n, K)."""
        columns = torch.arange(self.num_negatives, device=excluded.device).expand(len(excluded), -1)
        for own in excluded.sort(dim=1).values.unbind(dim=1):
            columns = skip(columns, own)
        return columns

    def relative(self, temperature: float | Tensor) -> Tensor:
        """(s_i - s_0)/t of each negative, shape (n * draws, K), float32 or wider."""
        return (self.negatives() - self.positive[:, None]) / temperature


def version(keys: Tensor) -> int:
    """How often a tensor was changed in place; 0 where torch does not count."""
    return 0 if torch.compiler.is_compiling() or keys.is_inference() else keys._version


def to_other_images(
    query: Tensor,
    positive_key: Tensor,
    keys: Tensor,
    columns: Tensor | None,
    place: Tensor,
    draws: int = 1,
) -> Similarities:
    """Similarities to the keys of the other images of a batch.

    Args:
        query: of length 1, shape (n, D).
        positive_key: keys of the same images, shape (n, D).
        keys: of the whole batch, shape (N, D).
        columns: which of the N - 1 other keys are negatives, shape (n, draws * K); None for all.
        place: which of the N each query is, shape (n,).
        draws: see `Similarities`.
    """
    if columns is None:
        return Similarities(query, positive_key, keys, excluded=place[:, None])
    return Similarities(query, positive_key, keys, columns=skip(columns, place), draws=draws)


def to_both_views(
    query: Tensor,
    key: Tensor,
    queries: Tensor,
    keys: Tensor,
    columns: Tensor | None,
    place: Tensor,
    draws: int = 1,
) -> Similarities:
    """Similarities of both views, 2n queries, to both views of the other images of a batch.

    Args:
        query: one view, of length 1, shape (n, D).
        key: the other one, shape (n, D).
        queries: the first view of the whole batch, shape (N, D).
        keys: the other one, shape (N, D).
        columns: which of the 2 (N - 1) views are negatives, shape (2n, draws * K): first the other
            images' queries, then their keys; None for all.
        place: which of the 2N each of the queries and keys is, shape (2n,).
        draws: see `Similarities`.
    """
    total, views = len(keys), torch.cat([keys, queries])
    both, positive = torch.cat([query, key]), torch.cat([key, query])
    other = (place + total) % (2 * total)  # where the query stands in `views`
    if columns is None:
        return Similarities(both, positive, views, excluded=torch.stack([place, other], dim=1))
    image = place % total
    columns = skip(skip(columns, image), image + total)
    columns = (columns + total) % (2 * total)
    return Similarities(both, positive, views, columns=columns, draws=draws)
