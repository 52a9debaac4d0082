"""A loss of embeddings with labels, as pytorch-metric-learning's loops call it.

M embeddings, P pairs of a query and a positive of its class, K negatives of another class.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from eqco.losses.base import ContrastiveLoss
from eqco.losses.functional import reduced
from eqco.losses.logits import ExplicitSimilarities
from eqco.losses.tensors import full_precision, unit


class LabelLoss(nn.Module):
    """`loss(embeddings, labels)`: each pair of one class is a query and its positive.

    The negatives of a pair are embeddings of other classes: K of them, drawn, or all where there
    are fewer. It stands where pytorch-metric-learning's `NTXentLoss` stands, with or without a
    miner; for `SelfSupervisedLoss(NTXentLoss())(embeddings, ref_emb)` take the loss itself.

    Args:
        loss: one of `eqco.losses.modules` without queue and gather; its K, temperature and
            reduction (over the pairs) hold.

    >>> from eqco import EqCoLoss
    >>> loss = LabelLoss(EqCoLoss(num_negatives=2, alpha=256))
    >>> loss(torch.eye(4, 8), torch.tensor([0, 0, 1, 1])).shape
    torch.Size([])
    """

    def __init__(self, loss: ContrastiveLoss) -> None:
        super().__init__()
        if loss.queue is not None or loss.gather:
            raise ValueError(
                "a loss with labels takes its negatives from the batch: leave queue_size and "
                "gather out"
            )
        self.loss = loss

    def forward(
        self,
        embeddings: Tensor,
        labels: Tensor,
        indices_tuple: tuple[Tensor, ...] | None = None,
        ref_emb: Tensor | None = None,
        ref_labels: Tensor | None = None,
    ) -> Tensor:
        """The loss of all pairs, 0 where no pair has a negative.

        Args:
            embeddings: queries, shape (N, D), any length.
            labels: their classes, shape (N,).
            indices_tuple: a miner's (query, positive, query, negative) or (query, positive,
                negative), which of the pairs and negatives count; None takes all.
            ref_emb: embeddings to compare with, shape (M, D); None stands for `embeddings`.
            ref_labels: their classes, shape (M,).

        Returns:
            Shape () or, without reduction, (P,); float32 or wider.

        Raises:
            ValueError: shapes do not match, or an embedding is not finite.
        """
        check_labels("embeddings", embeddings, "labels", labels)
        keys, of_keys = embeddings, labels
        if ref_emb is not None:
            if ref_labels is None:
                raise ValueError("ref_emb needs ref_labels, the classes of its embeddings")
            check_labels("ref_emb", ref_emb, "ref_labels", ref_labels)
            keys, of_keys = ref_emb, ref_labels
        pairs = labels.to(embeddings.device)[:, None] == of_keys.to(embeddings.device)
        negative = ~pairs
        if ref_emb is None:
            pairs.fill_diagonal_(False)
        if indices_tuple is not None:
            pairs, negative = mined(indices_tuple, pairs)
        return self.of_pairs(embeddings, keys, pairs, negative)

    def of_pairs(self, query: Tensor, keys: Tensor, pairs: Tensor, negative: Tensor) -> Tensor:
        """The loss where (N, M) say which keys are positives and which negatives of a query."""
        loss = self.loss
        with full_precision(query):
            similarity = unit(query) @ unit(keys).T  # (N, M)
            pairs = pairs & negative.any(dim=1, keepdim=True)
            row, column = pairs.nonzero(as_tuple=True)
            allowed = negative[row]  # (P, M)
            counts = allowed.sum(dim=1).clamp(max=loss.num_negatives or len(keys))
            scores = torch.rand(allowed.shape, generator=loss.generator, device="cpu").to(
                query.device
            )
            order = torch.where(allowed, scores, -1.0).argsort(dim=1, descending=True)
            losses = similarity.new_zeros(len(row))
            for count in sorted(set(counts.tolist())):  # pairs with as many negatives
                some = (counts == count).nonzero()[:, 0]
                negatives = similarity[row[some, None], order[some, :count]]
                given = ExplicitSimilarities(similarity[row[some], column[some]], negatives)
                losses = losses.index_put((some,), loss.of_logits(given, "none"))
            if len(row) == 0:
                return 0 * similarity.sum()
            return reduced(losses, loss.reduction)


def check_labels(name: str, embeddings: Tensor, of: str, labels: Tensor) -> None:
    """Raise ValueError where there is not one label for each embedding."""
    if embeddings.ndim != 2 or labels.ndim != 1 or len(labels) != len(embeddings):
        raise ValueError(
            f"{name} must be (N, D) and {of} (N,), got {tuple(embeddings.shape)} and "
            f"{tuple(labels.shape)}"
        )


def mined(indices: tuple[Tensor, ...], like: Tensor) -> tuple[Tensor, Tensor]:
    """Which (query, positive) and which (query, negative) a miner chose, both (N, M)."""
    if len(indices) not in (3, 4):
        raise ValueError(f"indices_tuple must hold 3 or 4 tensors, got {len(indices)}")
    query, positive, *more = indices
    pairs, negative = torch.zeros_like(like), torch.zeros_like(like)
    pairs[query, positive] = True
    negative[more[0] if len(more) == 2 else query, more[-1]] = True
    return pairs, negative
