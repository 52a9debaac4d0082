"""Every method against a matrix of all similarities; test_sampling.py has the drawings."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import pytest
import torch
from torch import Tensor

from eqco.losses import blockwise
from eqco.losses.registry import LOSSES
from eqco.losses.sampling import DRAWINGS, off_diagonal
from eqco.methods.base import Method
from eqco.methods.encoder import build_encoder, momentum_update
from eqco.methods.moco import MoCo
from eqco.methods.simclr import SimCLR
from eqco.methods.simo import SiMo
from tests.formulas import usual_settings

SIZE, QUEUE = 6, 9  # N, Q
Views = tuple[Tensor, Tensor]
Reference = Callable[[Method, Views, torch.Generator], tuple[Tensor, Tensor]]


def moved_keys(method: SiMo | MoCo, key_view: Tensor) -> Tensor:
    with torch.no_grad():
        momentum_update(method.encoder, method.key_encoder, method.key_momentum)
        return method.key_encoder(key_view)  # type: ignore[no-any-return]


def of_simo(method: SiMo, views: Views, draw: torch.Generator) -> tuple[Tensor, Tensor]:
    """Positives, and the keys of the other images in their order."""
    keys = moved_keys(method, views[1])
    cosines = method.encoder(views[0]) @ keys.T
    return cosines.diagonal(), off_diagonal(cosines)


def of_moco(method: MoCo, views: Views, draw: torch.Generator) -> tuple[Tensor, Tensor]:
    """Positives, and the keys of the queue in their order; the shuffling draws first."""
    torch.randperm(SIZE, generator=draw)
    query = method.encoder(views[0])
    return (query * moved_keys(method, views[1])).sum(dim=1), query @ method.queue.T


def of_simclr(method: SimCLR, views: Views, draw: torch.Generator) -> tuple[Tensor, Tensor]:
    """Positives, and for each view the others of the other kind, then those of its own."""
    query, key = method.encoder(torch.cat(views)).chunk(2)
    blocks = [
        torch.cat([off_diagonal(one @ other.T), off_diagonal(one @ one.T)], dim=1)
        for one, other in ((query, key), (key, query))
    ]
    return torch.cat([(query * key).sum(dim=1)] * 2), torch.cat(blocks)


@dataclass(frozen=True)
class Case:
    """A method of so many available negatives, and its definition."""

    make: Callable[..., Method]
    available: int
    reference: Reference


CASES = {
    "simo": Case(SiMo, SIZE - 1, of_simo),  # type: ignore[arg-type]
    "moco": Case(
        lambda *given, **named: MoCo(*given, queue_size=QUEUE, bn_splits=1, **named),
        QUEUE,
        of_moco,  # type: ignore[arg-type]
    ),
    "simclr": Case(SimCLR, 2 * SIZE - 2, of_simclr),  # type: ignore[arg-type]
}
EVERY_METHOD = pytest.mark.parametrize("name", CASES)
EVERY_DRAWING = pytest.mark.parametrize("drawing", sorted(DRAWINGS))


WAYS = {  # whether negatives are drawn, in how many draws, and how similarities are computed
    "keys": (True, False, {"few": 0}),
    "matrix": (True, False, {"few": 10**9}),
    "all": (False, False, {"small": 0}),
    "all-matrix": (False, False, {"small": 10**9}),
    "draws-keys": (True, True, {"few": 0}),
    "draws-matrix": (True, True, {"few": 10**9}),
}
DRAWS = {"simo": 2, "moco": 4, "simclr": 5}  # of 2 negatives: of 5, 9 and 10 that there are


def made(name: str, **settings: Any) -> Method:
    """A method in float64 whose key encoder has left the query encoder."""
    method = CASES[name].make(build_encoder("tiny-gray", 16, seed=0), **settings).double()
    if name != "simclr":
        method.key_encoder.load_state_dict(build_encoder("tiny-gray", 16, seed=1).state_dict())
        method.key_momentum = 0.5
    return method


@EVERY_METHOD
@EVERY_DRAWING
@pytest.mark.parametrize("loss", sorted(LOSSES))
@pytest.mark.parametrize("way", WAYS)
def test_value_and_gradients_are_those_of_the_matrix_of_all_similarities(
    name: str, drawing: str, loss: str, way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In float64, blocks are split; of several draws it is the mean of their losses."""
    drawn, several, limits = WAYS[way]
    sizes = replace(blockwise.ON_CPU, block=5, most_columns=2, **limits)
    monkeypatch.setattr(blockwise, "ON_CPU", sizes)
    case, draws = CASES[name], DRAWS[name] if several else 1
    count = (2 if several else 3) if drawn else case.available
    method = made(name, num_negatives=count, drawing=drawing, draws=draws)
    views = torch.rand(
        2, SIZE, 1, 24, 24, generator=torch.Generator().manual_seed(1), dtype=torch.float64
    )
    twin = copy.deepcopy(method)

    draw = torch.Generator().manual_seed(4)
    positive, negatives = case.reference(twin, tuple(views), draw)
    columns = torch.arange(case.available).expand(len(positive), -1)
    if drawn:
        columns = DRAWINGS[drawing](len(positive), case.available, count, draw, draws)
    entry, settings = LOSSES[loss], usual_settings(loss)
    each = [
        entry.function(positive, negatives.gather(1, some), **settings)
        for some in columns.split(count, dim=1)
    ]
    assert len(each) == draws
    expected = torch.stack(each).mean()

    found = method(*views, torch.Generator().manual_seed(4))
    assert found.num_negatives == count
    value = entry.losses(found, **settings).mean()
    explicit = entry.function(found.positive, found.negatives(), **settings)
    for one in (value, explicit):
        torch.testing.assert_close(one, expected, rtol=1e-12, atol=0)
    expected.backward()
    value.backward()
    trained = 0
    for ours, theirs in zip(method.parameters(), twin.parameters(), strict=True):
        assert (ours.grad is None) == (theirs.grad is None)
        if ours.grad is not None and theirs.grad is not None:
            torch.testing.assert_close(ours.grad, theirs.grad, rtol=1e-9, atol=1e-12)
            trained += 1
    assert trained == len(list(method.encoder.parameters()))


@EVERY_METHOD
@EVERY_DRAWING
def test_draws_of_all_negatives_are_a_partition_of_them(
    name: str, drawing: str, generator: torch.Generator
) -> None:
    """Each has one negative; DCL's plain mean of them is that of all similarities."""
    case = CASES[name]
    method = case.make(
        build_encoder("tiny-gray", 16, seed=0),
        num_negatives=1,
        drawing=drawing,
        draws=case.available,
    )
    views = torch.rand(2, SIZE, 1, 24, 24, generator=generator)
    twin = copy.deepcopy(method)
    twin.num_negatives, twin.draws = case.available, 1
    found, whole = (each(*views, torch.Generator().manual_seed(0)) for each in (method, twin))
    assert found.num_negatives == 1
    parts = found.negatives().view(-1, case.available).sort(dim=1).values
    torch.testing.assert_close(parts, whole.negatives().sort(dim=1).values)
