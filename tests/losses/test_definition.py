"""Every loss, however it is called, against its definition and a list of the keys it may see.

Random cases in float64: value and gradient by both views. What a seeded generator draws is part of
the definition.
"""

from __future__ import annotations

import random
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from eqco.losses import modules
from eqco.losses.base import ContrastiveLoss
from eqco.losses.memory_bank import SEED
from eqco.losses.registry import LOSSES
from eqco.losses.sampling import DRAWINGS
from tests.formulas import DEFINITIONS

CLASSES: dict[str, type[ContrastiveLoss]] = {
    found.name: found
    for found in vars(modules).values()
    if isinstance(found, type) and issubclass(found, ContrastiveLoss) and hasattr(found, "name")
}
NEGATIVES = ("both views", "one view", "queue")


def candidates(kind: str, query: Tensor, key: Tensor, queue: Tensor) -> tuple[Tensor, list[Tensor]]:
    """The positive of each query, and the keys that may be its negatives in the order of drawing.

    Queries and keys are of length 1, (N, D); the negatives of a query (M, D).
    """
    size = len(query)
    if kind == "queue":
        return key, [queue] * size
    if kind == "one view":
        return key, [torch.cat([key[:i], key[i + 1 :]]) for i in range(size)]
    both = []
    for i in range(2 * size):
        image = i % size
        places = [place for place in range(2 * size) if place % size != image]
        both.append(torch.cat([query, key])[places])
    return torch.cat([key, query]), both


def by_definition(
    loss: ContrastiveLoss, kind: str, query: Tensor, key: Tensor, queue: Tensor, seed: int
) -> Tensor:
    """The loss of each query, from cosines of the keys that a generator of this seed draws."""
    query, key = F.normalize(query, dim=1), F.normalize(key, dim=1)
    positive, negatives = candidates(kind, query, key, queue)
    queries, available = torch.cat([query, key])[: len(positive)], len(negatives[0])
    count = loss.num_negatives or available
    columns = torch.arange(available).expand(len(queries), -1)
    if count < available:
        draw = torch.Generator().manual_seed(seed)
        columns = DRAWINGS["independent"](len(queries), available, count, draw)
    cosines = torch.stack(
        [keys[some] @ one for keys, some, one in zip(negatives, columns, queries, strict=True)]
    )
    settings = (loss.temperature, *loss.settings().values())
    return DEFINITIONS[loss.name]((queries * positive).sum(dim=1), cosines, *settings)


def check(name: str, kind: str, seed: int) -> None:
    """Three steps of a loss with random settings, against its definition."""
    choose = random.Random(f"{name} {kind} {seed}")
    size, width = choose.randint(3, 40), choose.randint(2, 9)
    available = {"both views": 2 * size - 2, "one view": size - 1, "queue": size + 3}[kind]
    few = choose.choice([None, choose.randint(2, available), choose.randint(2, min(available, 5))])
    if seed == 0:
        few = LOSSES[name].fewest
    options: dict[str, Any] = {
        "temperature": choose.uniform(0.1, 1.0),
        "reduction": "none",
        "generator": torch.Generator(),
        "gather": choose.random() < 0.5,
    }
    if LOSSES[name].setting:
        options[LOSSES[name].setting] = choose.uniform(0.3, 3.0)
    if kind == "queue":
        options["queue_size"] = available
    elif kind == "one view":
        options["two_sided"] = False
    loss = CLASSES[name](few, **options)
    start = torch.randn(available, width, generator=torch.Generator().manual_seed(SEED))
    queue, place = F.normalize(start, dim=1).double(), 0
    data = torch.Generator().manual_seed(seed)
    for step in range(3):
        views = choose.uniform(0.1, 10) * torch.randn(
            2, size, width, generator=data, dtype=torch.float64
        )
        options["generator"].manual_seed(step)
        mine, theirs = ([view.clone().requires_grad_() for view in views] for _ in "ab")
        found = loss(*mine)
        expected = by_definition(loss, kind, *theirs, queue.clone(), step)
        torch.testing.assert_close(found, expected, rtol=1e-11, atol=1e-11)
        weights = torch.rand(len(found), generator=data, dtype=torch.float64)
        ours, right = (
            torch.autograd.grad(weights @ each, given)
            for each, given in ((found, mine), (expected, theirs))
        )
        for one, other in zip(ours, right, strict=True):
            torch.testing.assert_close(one, other, rtol=1e-9, atol=1e-11)
        for key in F.normalize(views[1], dim=1):  # first in, first out
            queue[place] = key
            place = (place + 1) % available


@pytest.mark.parametrize("kind", NEGATIVES)
@pytest.mark.parametrize("name", CLASSES)
def test_a_loss_of_two_views_is_its_definition(name: str, kind: str) -> None:
    for seed in range(6):
        check(name, kind, seed)


def test_every_loss_without_memory_of_images_is_a_class() -> None:
    assert set(CLASSES) == {name for name, loss in LOSSES.items() if not loss.averages}
    assert set(DEFINITIONS) == set(LOSSES)


@pytest.mark.parametrize("kind", NEGATIVES)
def test_the_comparison_finds_a_weight_that_is_left_out(
    kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(DEFINITIONS, "eqco", lambda *given: DEFINITIONS["infonce"](*given[:3]))
    with pytest.raises(AssertionError):
        check("eqco", kind, 0)
