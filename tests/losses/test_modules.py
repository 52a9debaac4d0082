"""The losses of two views: values by definition, negatives, queue, and what loops do with them."""

from __future__ import annotations

import copy
import math
import warnings
from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from eqco.losses.base import ContrastiveLoss
from eqco.losses.functional import eqco_info_nce
from eqco.losses.logits import similarities
from eqco.losses.modules import DCLLoss, EqCoLoss, FlatNCELoss, HardInfoNCELoss, InfoNCELoss
from eqco.losses.plateau import STUCK


@pytest.fixture
def views(generator: torch.Generator) -> Tensor:
    """Embeddings of two views of ten images, float64, not of length 1: (2, 10, 8)."""
    return 3 * torch.randn(2, 10, 8, generator=generator, dtype=torch.float64)


@pytest.mark.parametrize("size", [10, 400])  # a matrix; blocks
def test_autocast_leaves_the_loss_alone(size: int, generator: torch.Generator) -> None:
    loss, views = InfoNCELoss(), torch.randn(2, size, 8, generator=generator).bfloat16()
    with torch.autocast("cpu", torch.bfloat16):
        inside = loss(*views)
    assert inside.dtype == torch.float32
    assert torch.equal(inside, loss(*views))


@pytest.mark.parametrize("size", [10, 400])
def test_functional_gradients_are_those_of_backward(size: int, generator: torch.Generator) -> None:
    query, key = torch.randn(2, size, 8, generator=generator)
    loss, needs = DCLLoss(), query.clone().requires_grad_()
    loss(needs, key).backward()
    torch.testing.assert_close(torch.func.grad(loss)(query, key), needs.grad)
    batches = torch.func.vmap(loss)(query.view(2, size // 2, 8), key.view(2, size // 2, 8))
    torch.testing.assert_close(batches[0], loss(query[: size // 2], key[: size // 2]))


def test_second_derivatives_are_right_or_refused(generator: torch.Generator) -> None:
    query, key = torch.randn(2, 300, 8, generator=generator, dtype=torch.float64)
    loss, direction = InfoNCELoss(), torch.randn(300, 8, generator=generator).double()
    first, step = torch.func.grad(loss), 1e-5 * direction
    found = torch.func.grad(lambda each: (first(each, key) * direction).sum())(query)
    near = (first(query + step, key) - first(query - step, key)) / 2e-5
    torch.testing.assert_close(found, near, rtol=1e-4, atol=1e-9)
    needs = query.clone().requires_grad_()
    with pytest.raises(RuntimeError, match=r"no second derivative .*: take torch\.func"):
        torch.autograd.grad(loss(needs, key), needs, create_graph=True)


@pytest.mark.parametrize(
    "make",
    [lambda: EqCoLoss(None), lambda: InfoNCELoss(two_sided=False), lambda: EqCoLoss(4)],
    ids=["two-sided", "one-sided", "drawn"],
)
def test_it_compiles_without_a_graph_break(
    make: Callable[[], ContrastiveLoss], views: Tensor
) -> None:
    loss = make()
    compiled = torch.compile(loss, fullgraph=True, backend="aot_eager")
    query = views[0].clone().requires_grad_()
    value = compiled(query, views[1])
    value.backward()
    if loss.num_negatives is None:
        torch.testing.assert_close(value, loss(*views))
    assert compiled(query, math.nan * views[1]).isnan()  # the test of finiteness stands outside


def test_a_queue_compiles(views: Tensor) -> None:
    loss = EqCoLoss(None, queue_size=16)
    loss(views[0].clone().requires_grad_(), views[1])
    twin = copy.deepcopy(loss)
    compiled = torch.compile(loss, fullgraph=True, backend="aot_eager")
    query = views[0].clone().requires_grad_()
    optimizer = torch.optim.SGD([query], 0.1)
    for step in range(4):
        key = views[1].roll(step, 0)
        ours, theirs = compiled(query, key), twin(query, key)
        torch.testing.assert_close(ours, theirs)
        ours.backward()
        optimizer.step()
    assert torch.equal(loss.state_dict()["queue.keys"], twin.state_dict()["queue.keys"])


def clip(image: Tensor, text: Tensor, scale: Tensor) -> Tensor:
    """open_clip's ClipLoss, by hand."""
    logits = scale * F.normalize(image, dim=1) @ F.normalize(text, dim=1).T
    target = torch.arange(len(image))
    return (F.cross_entropy(logits, target) + F.cross_entropy(logits.T, target)) / 2


def test_pairs_of_two_encoders_have_clips_loss_and_gradient(views: Tensor) -> None:
    image, text = (each.clone().requires_grad_() for each in views)
    scale = torch.tensor(14.0, dtype=torch.float64, requires_grad=True)
    expected = clip(image, text, scale)
    at_call = InfoNCELoss(cross_modal=True)(image, text, logit_scale=scale)
    torch.testing.assert_close(at_call, expected, rtol=1e-12, atol=0)
    for ours, theirs in zip(
        torch.autograd.grad(at_call, [image, text, scale]),
        torch.autograd.grad(expected, [image, text, scale]),
        strict=True,
    ):
        torch.testing.assert_close(ours, theirs, rtol=1e-10, atol=1e-14)


def test_a_temperature_that_is_a_parameter_is_trained_with_the_loss(views: Tensor) -> None:
    temperature = nn.Parameter(torch.tensor(0.1, dtype=torch.float64))
    loss = EqCoLoss(4, alpha=16, temperature=temperature, two_sided=False)
    assert dict(loss.named_parameters()) == {"temperature": temperature}
    assert "temperature=Parameter(0.1)" in str(loss)
    twin = copy.deepcopy(loss)
    assert twin.temperature is not temperature
    generator = torch.Generator()

    def at(value: float) -> float:
        generator.manual_seed(0)
        return EqCoLoss(
            4, alpha=16, temperature=value, two_sided=False, generator=generator
        )(*views).item()  # fmt: skip

    loss.generator = generator.manual_seed(0)
    loss(*views).backward()
    slope = (at(0.1 + 1e-6) - at(0.1 - 1e-6)) / 2e-6
    assert temperature.grad.item() == pytest.approx(slope, rel=1e-6)


@pytest.mark.parametrize("two_sided", [True, False])
def test_negatives_of_the_caller_count_as_those_of_the_batch(
    two_sided: bool, views: Tensor
) -> None:
    query, key = views
    hard = views.flip(1)[0, :, None] + torch.randn(10, 3, 8, dtype=torch.float64)
    found = EqCoLoss(None, alpha=64, two_sided=two_sided)(query, key, negatives=hard)
    each = []
    for one, other in [(query, key), (key, query)][: 1 + two_sided]:
        own = torch.eye(10, dtype=torch.bool)
        batch = [other] + [one] * two_sided
        rows = [torch.cat([*(part[~own[i]] for part in batch), hard[i]])[None] for i in range(10)]
        positive, negatives = similarities(one, other, torch.cat(rows))
        each.append(eqco_info_nce(positive, negatives, temperature=0.2, alpha=64))
    torch.testing.assert_close(found, torch.stack(each).mean())
    queued = InfoNCELoss(queue_size=16)
    assert queued(query, key, negatives=hard[0]) > queued(query, key)


@pytest.mark.parametrize("settings", [{}, {"two_sided": False}, {"cross_modal": True}])
def test_an_embedding_of_the_same_id_is_never_a_negative(
    settings: dict[str, bool], views: Tensor
) -> None:
    basis = torch.eye(10, dtype=torch.float64)[[0, 0, 0, 1, 2, 3, 4, 5, 6, 7]]
    ids = torch.tensor([5, 5, 5, 1, 2, 3, 4, 6, 7, 8])
    for count in (None, 4):
        values = DCLLoss(count, reduction="none", **settings)(basis, basis, ids=ids)
        least = values.exp() / torch.tensor(-5.0).exp()
        torch.testing.assert_close(least, least.round())  # so many negatives, all at cosine 0
        assert count is None or set(least.round().tolist()) == {4.0}
    same = EqCoLoss(None, **settings)(*views, ids=torch.arange(10))
    torch.testing.assert_close(same, EqCoLoss(None, **settings)(*views))
    for alone in (EqCoLoss(None, **settings), DCLLoss(**settings), HardInfoNCELoss(**settings)):
        assert alone(*views, ids=torch.zeros(10).long()) == 0


def test_the_expected_loss_is_that_of_the_extremes(generator: torch.Generator) -> None:
    line = torch.ones(10, 8)
    for loss in (EqCoLoss(4), InfoNCELoss(), InfoNCELoss(two_sided=False), DCLLoss(2)):
        lowest, plateau, highest = loss.expected(num_images=10)
        assert loss(line, line).item() == pytest.approx(plateau, rel=1e-5)
        views = torch.randn(2, 10, 8, generator=generator)
        assert lowest < loss(*views).item() < highest
    assert EqCoLoss().expected().plateau == pytest.approx(math.log(257))
    with pytest.raises(ValueError, match="num_images"):
        InfoNCELoss().expected()


def test_a_loss_that_stays_at_its_plateau_warns_once() -> None:
    loss, line, apart = EqCoLoss(4, warn=True), torch.ones(10, 8), torch.eye(10)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for step in range(STUCK + 30):
            loss(*[apart if step == 40 else line] * 2)
        assert not caught
        for _ in range(100):
            loss(line, line)
    (warning,) = caught
    assert "has been at 5.55 for 100 steps" in str(warning.message)
    assert warning.filename == __file__


def test_a_sum_over_both_directions_is_at_its_plateau_and_flatnce_has_none() -> None:
    line = torch.ones(10, 8)
    both = EqCoLoss(4, cross_modal=True, reduction="sum", warn=True)
    flat = FlatNCELoss(4, warn=True)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for _ in range(STUCK):
            flat(line, line)
        assert not caught
        for _ in range(STUCK):
            both(line, line)
    assert len(caught) == 1


def test_a_loss_prints_its_settings_and_has_no_parameters() -> None:
    assert str(EqCoLoss(temperature=0.1, alpha=64)) == (
        "EqCoLoss(num_negatives=16, alpha=64.0, temperature=0.1, two_sided=True)"
    )
    assert not list(EqCoLoss(queue_size=64).parameters())
    assert not EqCoLoss().state_dict()


def test_all_negatives_give_lightlys_loss(views: Tensor) -> None:
    losses = pytest.importorskip("lightly.loss", reason="lightly is not installed")
    theirs = losses.NTXentLoss(temperature=0.2)(*views)
    torch.testing.assert_close(InfoNCELoss()(*views), theirs, rtol=1e-12, atol=0)
    full = EqCoLoss(None, alpha=18)(*views)  # alpha = K
    torch.testing.assert_close(full, theirs, rtol=1e-12, atol=0)
