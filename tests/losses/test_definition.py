"""Every loss, however it is called, against its definition and a list of the keys it may see.

Random cases in float64: value and gradient by both views. What a seeded generator draws is part of
the definition.
"""

from __future__ import annotations

import doctest
import importlib
import inspect
import pkgutil
import random
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

import eqco
from eqco.losses import modules
from eqco.losses.base import ContrastiveLoss
from eqco.losses.functional import eqco_info_nce, info_nce
from eqco.losses.memory_bank import SEED
from eqco.losses.registry import LOSSES
from eqco.losses.sampling import DRAWINGS
from tests.formulas import DEFINITIONS, usual_settings

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


# Losses of similarities: by relation first, then precision.


Case = Callable[..., tuple[Tensor, Tensor]]
MODULES = sorted(each.name for each in pkgutil.walk_packages(eqco.__path__, "eqco."))
COUNTS = pytest.mark.parametrize("num_negatives", [1, 4, 255], ids="k{}".format)
ALPHAS = pytest.mark.parametrize("alpha", [0.5, 256.0, 65536.0], ids="alpha{:g}".format)
EVERY_LOSS = pytest.mark.parametrize("name", sorted(LOSSES))


def usual(name: str, temperature: float = 0.2) -> Callable[..., Tensor]:
    """A loss with a temperature and its setting at its usual value."""
    return partial(LOSSES[name].function, **usual_settings(name, temperature))


def gradients(loss: Callable[..., Tensor], case: tuple[Tensor, Tensor]) -> tuple[Tensor, ...]:
    """Derivatives of the sum of a loss by positive and negatives."""
    inputs = [each.detach().clone().requires_grad_() for each in case]
    return torch.autograd.grad(loss(*inputs).sum(), inputs)


@pytest.mark.parametrize("name", [name for name in MODULES if name != "eqco.__main__"])
def test_examples_in_docstrings_hold(name: str) -> None:
    result = doctest.testmod(importlib.import_module(name))
    assert result.failed == 0


def test_each_loss_has_an_example_and_shows_its_arguments() -> None:
    modules = map(importlib.import_module, ("eqco.losses.functional", "eqco.losses.bias_corrected"))
    assert sum(doctest.testmod(module).attempted for module in modules) >= len(LOSSES)
    for loss in LOSSES.values():
        signature = inspect.signature(loss.function)
        names = {"positive", "negatives", "temperature", "reduction", loss.setting} - {""}
        assert names <= set(signature.parameters)
        for name in names:
            assert f"\n    {name}: " in (loss.function.__doc__ or "")


@EVERY_LOSS
def test_a_loss_is_its_definition(name: str, similarity_case: Case) -> None:
    """Value and gradient, one query at a time too, in every reduction."""
    for count in (2, 3, 40):
        case, loss = similarity_case(num_queries=9, num_negatives=count), usual(name, 0.3)
        setting = [LOSSES[name].example] if LOSSES[name].setting else []
        each = partial(loss, reduction="none")
        expected = DEFINITIONS[name](*case, 0.3, *setting)
        torch.testing.assert_close(each(*case), expected, rtol=1e-11, atol=1e-11)
        inputs = [part.clone().requires_grad_() for part in case]
        right = torch.autograd.grad(DEFINITIONS[name](*inputs, 0.3, *setting).sum(), inputs)
        for one, other in zip(gradients(each, case), right, strict=True):
            torch.testing.assert_close(one, other, rtol=1e-9, atol=1e-10)
        for reduction, reduce in {"mean": torch.mean, "sum": torch.sum}.items():
            torch.testing.assert_close(loss(*case, reduction=reduction), reduce(expected))
        alone = [each(case[0][row : row + 1], case[1][row : row + 1]) for row in range(9)]
        torch.testing.assert_close(torch.cat(alone), expected, rtol=1e-11, atol=1e-11)


@ALPHAS
def test_a_margin_on_the_positive_is_the_weight_on_the_negatives(
    similarity_case: Case, alpha: float
) -> None:
    positive, negatives = similarity_case(num_negatives=16)
    shift = eqco.margin(16, temperature=0.2, alpha=alpha)
    with_margin = info_nce(positive - shift, negatives, temperature=0.2)
    with_weight = eqco_info_nce(positive, negatives, temperature=0.2, alpha=alpha)
    torch.testing.assert_close(with_margin, with_weight, rtol=1e-12, atol=0)


@COUNTS
def test_eqco_with_alpha_k_is_info_nce(similarity_case: Case, num_negatives: int) -> None:
    case = similarity_case(num_negatives=num_negatives)
    for alpha in (float(num_negatives), None):
        equal = eqco_info_nce(*case, temperature=0.2, alpha=alpha)
        torch.testing.assert_close(equal, info_nce(*case, temperature=0.2))


@pytest.mark.parametrize("temperature", [0.01, 0.07, 0.2, 1.0])
def test_info_nce_is_the_cross_entropy_of_the_concatenated_logits_to_the_bit(
    similarity_case: Case, temperature: float
) -> None:
    """What other codes compute: no number of theirs changes with this loss."""
    positive, negatives = (part.float() for part in similarity_case(64, 255))
    logits = torch.cat([positive[:, None], negatives], dim=1) / temperature
    expected = F.cross_entropy(logits, torch.zeros(64, dtype=torch.long))
    assert torch.equal(info_nce(positive, negatives, temperature=temperature), expected)


@EVERY_LOSS
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float64], ids=str)
def test_the_loss_is_float32_at_least_also_under_autocast(
    similarity_case: Case, name: str, dtype: torch.dtype
) -> None:
    case = [part.to(dtype) for part in similarity_case(num_negatives=64)]
    with torch.autocast("cpu", torch.bfloat16):
        loss = usual(name, temperature=0.07)(*case)
    assert loss.dtype == torch.promote_types(dtype, torch.float32)
    wide = usual(name, temperature=0.07)(*(each.double() for each in case))
    torch.testing.assert_close(loss.double(), wide, rtol=1e-5, atol=1e-5)
