"""How K negatives are drawn for each query. N queries, M keys to draw from, K negatives."""

from __future__ import annotations

import torch
from torch import Tensor


def check_count(num_negatives: int, available: int) -> None:
    """Raise ValueError where K negatives cannot be drawn from `available` keys."""
    if num_negatives < 1:
        raise ValueError(f"num_negatives must be at least 1, got {num_negatives}")
    if num_negatives > available:
        raise ValueError(
            f"num_negatives is {num_negatives}, but only {available} negatives are there: "
            f"ask for {available} or fewer, or enlarge the batch"
        )


def others(similarity: Tensor) -> Tensor:
    """Take the diagonal (the positives) out of a square matrix: (N, N) -> (N, N - 1)."""
    size = len(similarity)
    if similarity.shape != (size, size) or size < 2:
        raise ValueError(f"similarity must be (N, N) with N >= 2, got {tuple(similarity.shape)}")
    # Shifted by one, each row of N + 1 entries starts just behind a diagonal entry.
    return similarity.flatten()[1:].view(size - 1, size + 1)[:, :-1].reshape(size, size - 1)


def draw_independent(
    num_queries: int, available: int, num_negatives: int, generator: torch.Generator
) -> Tensor:
    """Columns (N, K) of the negatives: each query draws its own, without replacement."""
    check_count(num_negatives, available)
    lots = torch.rand(num_queries, available, generator=generator)
    return lots.topk(num_negatives, dim=1, sorted=False).indices


def draw_shared(
    num_queries: int, available: int, num_negatives: int, generator: torch.Generator
) -> Tensor:
    """Columns (N, K) of the negatives: one permutation serves all queries, as in authors' code.

    Row i of the off-diagonal matrix skips the positive, so column c is key c or c + 1: the batch
    sees at most 2K distinct keys.
    """
    check_count(num_negatives, available)
    columns = torch.randperm(available, generator=generator)[:num_negatives]
    return columns.expand(num_queries, num_negatives)


DRAWINGS = {"independent": draw_independent, "shared": draw_shared}


def draw_negatives(
    similarity: Tensor,
    num_negatives: int,
    generator: torch.Generator,
    drawing: str = "independent",
) -> Tensor:
    """Draw K of the other images' keys for each query of the batch.

    Args:
        similarity: query-key similarities of a batch, positives on the diagonal, shape (N, N).
        num_negatives: K, from 1 to N - 1; N - 1 takes all and draws nothing.
        generator: CPU generator, so that every device draws the same.
        drawing: "independent" per query, or "shared", one permutation for all queries.

    Returns:
        Similarities to the negatives, shape (N, K).

    Raises:
        ValueError: K is out of its range.
    """
    negatives = others(similarity)  # (N, N - 1)
    num_queries, available = negatives.shape
    check_count(num_negatives, available)
    if num_negatives == available:
        return negatives
    columns = DRAWINGS[drawing](num_queries, available, num_negatives, generator)
    return negatives.gather(1, columns.to(negatives.device))
