"""The loss of embeddings with labels."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from eqco import EqCoLoss, InfoNCELoss, LabelLoss


@pytest.fixture
def embeddings(generator: torch.Generator) -> Tensor:
    """Twelve embeddings, float64."""
    return torch.randn(12, 8, generator=generator, dtype=torch.float64)


LABELS = torch.tensor([0, 0, 0, 1, 1, 2, 2, 2, 2, 3, 3, 4])


def test_two_views_with_labels_are_the_loss_of_two_views(embeddings: Tensor) -> None:
    loss, images = InfoNCELoss(), torch.arange(6).repeat(2)
    torch.testing.assert_close(
        LabelLoss(loss)(embeddings, images), loss(*embeddings.chunk(2)), rtol=1e-12, atol=0
    )


def test_all_negatives_give_metric_learnings_loss(embeddings: Tensor) -> None:
    peer = pytest.importorskip(
        "pytorch_metric_learning.losses", reason="pytorch-metric-learning is not installed"
    )
    theirs, ours = peer.NTXentLoss(temperature=0.2), LabelLoss(InfoNCELoss())
    torch.testing.assert_close(ours(embeddings, LABELS), theirs(embeddings, LABELS))
    reference, classes = embeddings.flip(0), LABELS.flip(0)
    torch.testing.assert_close(
        ours(embeddings, LABELS, None, reference, classes),
        theirs(embeddings, LABELS, None, reference, classes),
    )
    pairs = tuple(map(torch.tensor, ([0, 3], [1, 4], [0, 0, 3, 3, 3], [5, 6, 0, 1, 8])))
    torch.testing.assert_close(ours(embeddings, LABELS, pairs), theirs(embeddings, LABELS, pairs))
    two = peer.SelfSupervisedLoss(theirs)(*embeddings.chunk(2))
    torch.testing.assert_close(EqCoLoss(None, alpha=10)(*embeddings.chunk(2)), two)


def test_drawn_negatives_are_of_another_class() -> None:
    basis = torch.eye(5)[LABELS]  # one direction a class
    values = LabelLoss(EqCoLoss(2, alpha=3.0, reduction="none"))(basis, LABELS)
    expected = torch.log1p(3 * torch.tensor(-5.0).exp())
    torch.testing.assert_close(values, expected.expand(len(values)))
    assert len(values) == 6 + 2 + 12 + 2


def test_a_batch_of_one_class_costs_nothing(embeddings: Tensor) -> None:
    query = embeddings.requires_grad_()
    loss = LabelLoss(EqCoLoss())(query, torch.zeros(12))
    loss.backward()
    assert loss.item() == 0
    assert query.grad is not None
    assert not query.grad.any()
