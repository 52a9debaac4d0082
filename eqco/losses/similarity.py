"""Cosine similarities of queries to their keys, computed no further than a loss needs them.

N queries of a batch, n of them on this process, M keys, K negatives per query, D dimensions. A loss
needs one number per query and temperature: log sum_i e^{s_i/t} over the negatives. Where it is
computed by blocks, see `eqco.losses.blockwise`, no n x M matrix is held.
Losses that need each negative apart (`relative`) hold the K similarities of each query.
"""

from __future__ import annotations

import torch
from torch import Tensor

from eqco.losses.blockwise import LogSumExp, sizes_on
from eqco.losses.sampling import skip
from eqco.losses.tensors import full_precision, wide
from eqco.runtime.transfer import to_device


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
