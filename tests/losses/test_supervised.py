"""The loss of embeddings with labels."""

from __future__ import annotations

import runpy
from collections.abc import Callable
from importlib import import_module
from typing import Any

import pytest
import torch
from torch import Tensor

from eqco import EqCoLoss, InfoNCELoss, LabelLoss
from eqco.losses.registry import LOSSES
from tests.losses.test_definition import CLASSES
from tests.processes import ROOT


@pytest.fixture
def embeddings(generator: torch.Generator) -> Tensor:
    """Twelve embeddings, float64."""
    return torch.randn(12, 8, generator=generator, dtype=torch.float64)


LABELS = torch.tensor([0, 0, 0, 1, 1, 2, 2, 2, 2, 3, 3, 4])


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
    twice = tuple(map(torch.tensor, ([0, 0, 3], [1, 1, 4], [0, 0, 3, 3, 3], [5, 6, 0, 1, 8])))
    torch.testing.assert_close(ours(embeddings, LABELS, twice), theirs(embeddings, LABELS, twice))
    itself = (embeddings, LABELS, None, embeddings, LABELS)
    torch.testing.assert_close(ours(*itself), theirs(*itself))
    two = peer.SelfSupervisedLoss(theirs)(*embeddings.chunk(2))
    torch.testing.assert_close(EqCoLoss(None, alpha=10)(*embeddings.chunk(2)), two)


@pytest.mark.parametrize(
    "wrapped",
    [
        lambda peer, loss: peer.CrossBatchMemory(loss, 8, 32),
        lambda peer, loss: peer.SelfSupervisedLoss(loss),
        lambda peer, loss: peer.MultipleLosses([loss, loss]),
    ],
    ids=["memory", "two views", "several"],
)
def test_the_subclass_of_the_example_stands_in_metric_learnings_wrappers(
    wrapped: Callable[[Any, Any], Any], embeddings: Tensor
) -> None:
    peer = pytest.importorskip(
        "pytorch_metric_learning.losses", reason="pytorch-metric-learning is not installed"
    )
    reducer = import_module("pytorch_metric_learning.reducers").ThresholdReducer(low=0.5)
    example = runpy.run_path(str(ROOT / "examples" / "metric_learning.py"))
    ours = example["NTXentLoss"](InfoNCELoss(), reducer=reducer)
    theirs = peer.NTXentLoss(temperature=0.2, reducer=reducer)
    two_views = isinstance(wrapped(peer, theirs), peer.SelfSupervisedLoss)
    given = embeddings.chunk(2) if two_views else (embeddings, LABELS)
    torch.testing.assert_close(wrapped(peer, ours)(*given), wrapped(peer, theirs)(*given))


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
    assert not query.grad.any()
    each = LabelLoss(EqCoLoss(reduction="none"))
    assert each(query, torch.arange(12)).shape == (0,)
    torch.testing.assert_close(each(query, torch.zeros(12)), torch.zeros(12 * 11).double())


def test_it_is_one_graph_and_takes_no_loop_over_queries(generator: torch.Generator) -> None:
    embeddings = torch.randn(512, 32, generator=generator)
    labels = torch.randint(10, (512,), generator=generator)
    loss = LabelLoss(EqCoLoss(None))
    compiled = torch.compile(loss, fullgraph=True, backend="aot_eager")
    torch.testing.assert_close(compiled(embeddings, labels), loss(embeddings, labels))
    calls = []
    loss.loss.of_logits = lambda *given: calls.append(given) or given[0].positive  # type: ignore
    loss(embeddings, labels)
    assert len(calls) == 1


@pytest.mark.parametrize("name", CLASSES)
def test_queries_with_few_negatives_have_the_loss_of_these(name: str, embeddings: Tensor) -> None:
    """Classes of 3, 2, 4, 2 and 1 leave a query 9, 10, 8 or 10 negatives."""
    loss = CLASSES[name](None, reduction="none")
    values = LabelLoss(loss)(embeddings, LABELS)
    unit = torch.nn.functional.normalize(embeddings)
    cosines = unit @ unit.T
    same = LABELS[:, None] == LABELS
    pairs = (same & ~torch.eye(12, dtype=torch.bool)).nonzero().tolist()
    settings = {"temperature": loss.temperature, **loss.settings()}
    one = [
        LOSSES[name].function(cosines[q, p][None], cosines[q][~same[q]][None], **settings)
        for q, p in pairs
    ]
    torch.testing.assert_close(values, torch.stack(one))
