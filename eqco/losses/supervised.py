"""A loss of embeddings with labels, as pytorch-metric-learning's loops call it.

M embeddings, P pairs of a query and a positive of its class, K negatives of another class.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from eqco.losses.base import ContrastiveLoss
from eqco.losses.logits import MaskedSimilarities
from eqco.losses.sampling import draw_allowed
from eqco.losses.tensors import can_be_read, check_finite, check_tensors, full_precision, unit
from eqco.runtime.validation import shown


class LabelLoss(nn.Module):
    """`loss(embeddings, labels)`: each pair of one class is a query and its positive.

    The negatives are embeddings of other classes: K of them, drawn for each query, or all where
    there are fewer. It stands where pytorch-metric-learning's `NTXentLoss` stands, with or without
    a miner; for `SelfSupervisedLoss(NTXentLoss())(embeddings, ref_emb)` take the loss itself.

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
        if not isinstance(loss, ContrastiveLoss):
            raise ValueError(f"loss must be one of eqco, as EqCoLoss(), got {shown(loss)}")
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
        """The loss of all pairs that have a negative; that of the others is 0.

        Args:
            embeddings: queries, shape (N, D), any length.
            labels: their classes, shape (N,).
            indices_tuple: a miner's (query, positive, query, negative) or (query, positive,
                negative), which of the pairs and negatives count; None takes all. A pair named
                twice counts twice, a negative once.
            ref_emb: embeddings to compare with, shape (M, D); None stands for `embeddings`, which
                are no positives of themselves.
            ref_labels: their classes, shape (M,).

        Returns:
            Shape () or, without reduction, (P,); float32 or wider.

        Raises:
            ValueError: shapes do not match, or an embedding is not finite.
        """
        check_labels("embeddings", embeddings, "labels", labels)
        self.loss.check_drawing()
        labels = labels.to(embeddings.device)
        keys, classes = embeddings, labels
        if ref_emb is not None:
            if ref_labels is None:
                raise ValueError("ref_emb needs ref_labels, the classes of its embeddings")
            check_labels("ref_emb", ref_emb, "ref_labels", ref_labels)
            check_tensors(embeddings, ref_emb)
            if ref_emb.shape[1] != embeddings.shape[1]:
                raise ValueError(
                    f"ref_emb has {ref_emb.shape[1]} dimensions, embeddings {embeddings.shape[1]}"
                )
            keys, classes = ref_emb.to(embeddings.dtype), ref_labels.to(labels.device)
        same = labels[:, None] == classes
        if indices_tuple is not None:
            row, column, negative = miner_pairs(indices_tuple, same)
            return self.of_pairs(embeddings, keys, row, column, negative)
        pairs = same
        if keys is embeddings:
            pairs = same & ~torch.eye(len(labels), dtype=torch.bool, device=same.device)
        if torch.compiler.is_compiling() and self.loss.reduction != "none":  # no shape from data
            row, column = torch.ones_like(pairs).nonzero_static(size=pairs.numel()).unbind(dim=1)
            return self.of_pairs(embeddings, keys, row, column, ~same, pairs.flatten())
        row, column = pairs.nonzero(as_tuple=True)
        return self.of_pairs(embeddings, keys, row, column, ~same)

    def of_pairs(
        self,
        query: Tensor,
        keys: Tensor,
        row: Tensor,
        column: Tensor,
        negative: Tensor,
        counted: Tensor | None = None,
    ) -> Tensor:
        """The loss of pairs of a query and a positive key.

        Args:
            query: shape (N, D).
            keys: shape (M, D).
            row, column: query and key of each pair, shape (P,).
            negative: which keys are negatives of a query, shape (N, M).
            counted: which pairs count, shape (P,); None for all. Those without a negative do not.
        """
        loss = self.loss
        with full_precision(query):
            similarity = unit(query) @ unit(keys).T  # (N, M)
            check_finite(similarity, "embeddings or ref_emb")
            valid = negative.any(dim=1)[row]
            if counted is None:  # outside of a compiled graph shapes may depend on the data
                row, column = row[valid], column[valid]
            if loss.num_negatives is not None:
                place = torch.arange(len(query), device="cpu")
                negative = draw_allowed(
                    loss.num_negatives, negative, loss.generator, total=len(query), place=place
                )
            if not len(row):
                losses = 0 * similarity.sum().expand(len(valid))
            else:
                logits = MaskedSimilarities(similarity, negative, similarity[row, column], row)
                losses = loss.of_logits(logits, "none")
                if counted is None:
                    losses = losses.new_zeros(len(valid)).index_put((valid,), losses)
                else:
                    valid = valid & counted
                    losses = losses.where(valid, 0.0)
            if loss.reduction == "none":
                return losses
            total = losses.sum()
            return total if loss.reduction == "sum" else total / valid.sum().clamp(min=1)


def check_labels(name: str, embeddings: Tensor, labels_name: str, labels: Tensor) -> None:
    """Raise ValueError where there is not one label for each embedding."""
    check_tensors(embeddings)
    if not isinstance(labels, Tensor):
        kind = type(labels).__name__
        raise ValueError(f"{labels_name} must be a tensor, got {kind}: torch.tensor({labels_name})")
    if embeddings.ndim != 2 or labels.ndim != 1 or len(labels) != len(embeddings):
        raise ValueError(
            f"{name} must be (N, D) and {labels_name} (N,), got {tuple(embeddings.shape)} and "
            f"{tuple(labels.shape)}"
        )
    check_finite(labels, labels_name)


def miner_pairs(indices: tuple[Tensor, ...], like: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The pairs that a miner chose, query and positive (P,), and the negatives (N, M)."""
    if len(indices) not in (3, 4):
        raise ValueError(f"indices_tuple must hold 3 or 4 tensors, got {len(indices)}")
    for index in indices:
        if not isinstance(index, Tensor) or index.dtype != torch.long:
            kind = index.dtype if isinstance(index, Tensor) else type(index).__name__
            raise ValueError(f"indices_tuple must hold tensors of torch.long, got {kind}")
    query, positive, *pair = (index.to(like.device) for index in indices)
    query_of_negative, key = pair if len(pair) == 2 else (query, pair[0])
    for places in (query, query_of_negative):
        check_places("queries", places, len(like))
    for places in (positive, key):
        check_places("keys", places, like.shape[1])
    negative = torch.zeros_like(like)
    negative[query_of_negative, key] = True
    return query, positive, negative


def check_places(name: str, places: Tensor, total: int) -> None:
    """Raise ValueError where places of a miner that can be read are none of some embeddings."""
    if can_be_read(places) and ((places < 0) | (places >= total)).any():
        raise ValueError(
            f"indices_tuple names {name} from {places.min()} to {places.max()}, but there are "
            f"{total} embeddings"
        )
