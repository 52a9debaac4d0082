"""SynCo: MoCo v2 to the bit without synthetic negatives, and each kind by its definition."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from eqco.losses.registry import LOSSES
from eqco.methods.encoder import build_encoder
from eqco.methods.moco import MoCo
from eqco.methods.synco import Draws, SynCo, synthetic_negatives
from tests.formulas import usual_settings
from tests.methods.conftest import SIZE, Views
from tests.methods.test_moco import step

QUEUE, WIDTH = 40, 16


def made(kind: type[MoCo] = SynCo, **settings: int) -> MoCo:
    """A method with a queue of 40 keys."""
    given = {"num_negatives": 20, "queue_size": QUEUE, "bn_splits": 1, **settings}
    return kind(build_encoder("tiny-gray", WIDTH, seed=0, projector="mlp"), **given)  # type: ignore[arg-type]


@pytest.mark.parametrize(("num_negatives", "draws"), [(3, 1), (20, 1), (QUEUE, 1), (4, 2)])
def test_without_synthetic_negatives_it_is_moco_to_the_bit(
    num_negatives: int, draws: int, views: Views
) -> None:
    given = {"num_negatives": num_negatives, "draws": draws}
    ours, theirs = made(num_synthetic=0, **given), made(MoCo, **given)
    for seed in range(3):
        gaps = [step(method, views, seed).log_odds(0.2) for method in (ours, theirs)]
        assert torch.equal(*gaps)
        for gap, method in zip(gaps, (ours, theirs), strict=True):
            method.encoder.zero_grad()
            gap.sum().backward()
        for one, other in zip(ours.encoder.parameters(), theirs.encoder.parameters(), strict=True):
            assert torch.equal(one.grad, other.grad)
    assert torch.equal(ours.state_dict()["queue"], theirs.state_dict()["queue"])


@pytest.mark.parametrize("num_negatives", [3, 20, QUEUE], ids="k{}".format)
def test_the_negatives_are_those_of_moco_and_then_the_synthetic_ones(
    num_negatives: int, views: Views
) -> None:
    ours = step(made(num_negatives=num_negatives, num_synthetic=30), views)
    theirs = step(made(MoCo, num_negatives=num_negatives), views)
    assert ours.num_negatives == num_negatives + 30
    assert ours.negatives().shape == (SIZE, num_negatives + 30)
    torch.testing.assert_close(ours.negatives()[:, :num_negatives], theirs.negatives())
    assert torch.equal(ours.positive, theirs.positive)
    assert not ours.keys.requires_grad
    explicit = torch.logsumexp(ours.negatives() / 0.2, dim=1) - ours.positive / 0.2
    torch.testing.assert_close(ours.log_odds(0.2), explicit)
    assert (ours.log_odds(0.2) > theirs.log_odds(0.2)).all()


def example(generator: torch.Generator) -> tuple[Tensor, Tensor, Draws, Tensor]:
    """Queries, hardest keys, their draws for one unit of each kind, and the synthetic negatives."""
    draw = {"generator": generator, "dtype": torch.float64}
    query = F.normalize(torch.randn(SIZE, WIDTH, **draw), dim=1)  # type: ignore[call-overload]
    hardest = F.normalize(torch.randn(SIZE, 5, WIDTH, **draw), dim=2)  # type: ignore[call-overload]
    draws = Draws.of(query, 15, 5, generator)
    return query, hardest, draws, synthetic_negatives(query, hardest, draws)


def test_every_kind_is_its_definition(generator: torch.Generator) -> None:
    """One negative at a time, with plain sums."""
    query, hardest, draws, found = example(generator)
    assert found.shape == (SIZE, 15, WIDTH)
    for row in range(SIZE):
        q, keys = query[row], [hardest[row, place] for place in draws.places[row].tolist()]
        shares = draws.shares[row].double().tolist()
        expected = [a / 2 * q + (1 - a / 2) * k for a, k in zip(shares[:4], keys[:4], strict=True)]
        for b, k in zip(shares[4:8], keys[4:8], strict=True):
            expected.append(q + (1 + b / 2) * (k - q))
        for c, k, other in zip(shares[8:], keys[8:12], keys[15:], strict=True):
            expected.append(c * k + (1 - c) * other)
        expected.append(keys[12] + 0.01 * draws.noise[row, 0].double())
        k, other = keys[13].clone().requires_grad_(), keys[14].clone().requires_grad_()
        (gradient,) = torch.autograd.grad(q @ k, k)
        expected.append((k + 0.01 * gradient).detach())
        (gradient,) = torch.autograd.grad(q @ other, other)
        expected.append((other + 0.01 * gradient.sign()).detach())
        for ours, theirs in zip(found[row], expected, strict=True):
            torch.testing.assert_close(ours, theirs / theirs.norm(), rtol=1e-12, atol=1e-12)


def test_they_are_made_of_the_hardest_of_the_drawn_negatives(views: Views) -> None:
    """Of 20 negatives the 16 hardest; of 3 all of them."""
    for num_negatives, hard in ((20, 16), (3, 3), (QUEUE, 16)):
        method = made(num_negatives=num_negatives)
        found = step(made(MoCo, num_negatives=num_negatives), views)
        keys = method.hardest(found)  # type: ignore[operator]
        assert keys.shape == (SIZE, hard, WIDTH)
        cosines = (keys @ found.query[:, :, None])[:, :, 0].sort(dim=1).values
        expected = found.negatives().sort(dim=1).values[:, -hard:]
        torch.testing.assert_close(cosines, expected)


@pytest.mark.parametrize("loss", sorted(LOSSES))
def test_every_loss_has_finite_gradients(loss: str, views: Views) -> None:
    similarities = step(made(), views)
    similarities.query.retain_grad()
    LOSSES[loss].losses(similarities, **usual_settings(loss, 0.05)).mean().backward()
    assert torch.isfinite(similarities.query.grad).all()
    assert similarities.query.grad.abs().max() > 0
