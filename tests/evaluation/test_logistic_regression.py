"""The linear probe: the minimum of its objective, found again whatever the features look like."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from eqco.evaluation import logistic_regression
from eqco.evaluation.logistic_regression import Labelled, fit, linear_probe, objective, whiten
from eqco.evaluation.metrics import percent

CLASSES, WIDTH, PENALTY = 7, 12, 3e-4
A_FEW_PICTURES = 0.1  # points: 10 of 10,000 held-out pictures
Change = Callable[[Tensor], Tensor]


def clusters() -> tuple[Labelled, Labelled]:
    """Seven overlapping clusters; features correlate, and their deviations span a decade."""
    draw = torch.Generator().manual_seed(0)
    centres = 0.7 * torch.randn(CLASSES, WIDTH, generator=draw)
    mixing = torch.randn(WIDTH, WIDTH, generator=draw) * torch.logspace(-0.5, 0.5, WIDTH)
    parts = []
    for count in (1400, 10_000):
        labels = torch.arange(count) % CLASSES
        raw = centres[labels] + torch.randn(count, WIDTH, generator=draw)
        parts.append((raw @ mixing, labels))
    return parts[0], parts[1]


def judged(
    train: Labelled, test: Labelled, classes: int = CLASSES, penalty: float = PENALTY
) -> float:
    """Share of held-out labels that the probe predicts, percent."""
    return percent(linear_probe(train, test[0], classes, penalty=penalty) == test[1])


def accuracy(train: Labelled, test: Labelled, change: Change = lambda features: features) -> float:
    """The probe's accuracy on features that are changed first, percent."""
    return judged((change(train[0]), train[1]), (change(test[0]), test[1]))


def with_ones(features: Tensor) -> Tensor:
    """Features with the column of the biases."""
    return torch.cat([features, torch.ones_like(features[:, :1])], dim=1)


def reference(weights: Tensor, features: Tensor, labels: Tensor, penalty: float) -> Tensor:
    """The objective as the module's text defines it."""
    loss = F.cross_entropy(features @ weights.T, labels)
    return loss + penalty / 2 * weights[:, :-1].square().sum()


def random_case() -> tuple[Tensor, Tensor, Tensor]:
    """Weights, features with ones, and labels; float64."""
    draw = torch.Generator().manual_seed(1)
    weights = torch.randn(CLASSES, WIDTH + 1, generator=draw, dtype=torch.float64)
    features = torch.randn(50, WIDTH, generator=draw, dtype=torch.float64)
    return weights, with_ones(features), torch.randint(0, CLASSES, (50,), generator=draw)


def test_the_objective_and_its_gradient_are_those_of_autograd() -> None:
    weights, features, labels = random_case()
    value, gradient = objective(weights, features, labels, 0.1)
    expected = reference(weights.requires_grad_(), features, labels, 0.1)
    expected.backward()
    torch.testing.assert_close(value, expected.detach(), rtol=1e-12, atol=0)
    torch.testing.assert_close(gradient, weights.grad, rtol=0, atol=1e-14)


def test_the_objective_is_finite_where_logits_overflow() -> None:
    weights, features, labels = random_case()
    value, gradient = objective(1e6 * weights, features, labels, 0.0)
    torch.testing.assert_close(value, reference(1e6 * weights, features, labels, 0.0))
    assert torch.isfinite(gradient).all()


@pytest.mark.parametrize("rows", [1, 7, 49, 50, 1000])
def test_blocks_of_images_do_not_matter(rows: int, monkeypatch: pytest.MonkeyPatch) -> None:
    weights, features, labels = random_case()
    whole = objective(weights, features, labels, PENALTY)
    monkeypatch.setattr(logistic_regression, "BLOCK", {"cpu": rows * CLASSES})
    for ours, expected in zip(objective(weights, features, labels, PENALTY), whole, strict=True):
        torch.testing.assert_close(ours, expected, rtol=1e-12, atol=1e-15)


def scikit_learn(penalty: float) -> tuple[Tensor, float]:
    """Its weights (C, F + 1) on the whitened clusters, and its accuracy in percent.

    Its objective is M times as large and divided by the penalty; biases are free there too.
    """
    linear_model = pytest.importorskip("sklearn.linear_model")
    (train, labels), (test, right) = clusters()
    fitted, judged = whiten(train.double(), test.double())
    theirs = linear_model.LogisticRegression(C=1 / (penalty * len(train)), tol=1e-8, max_iter=5000)
    theirs.fit(fitted.numpy(), labels.numpy())
    weights, biases = torch.from_numpy(theirs.coef_), torch.from_numpy(theirs.intercept_)
    score = 100 * theirs.score(judged.numpy(), right.numpy())
    return torch.cat([weights, biases[:, None]], dim=1), score


def above_scikit_learn(penalty: float) -> tuple[float, float]:
    """How far our objective ends above theirs, nats; the difference in accuracy, points."""
    train, test = clusters()
    features = with_ones(whiten(train[0].double(), train[0].double())[0])
    minimum, score = scikit_learn(penalty)
    ours, theirs = (
        reference(weights, features, train[1], penalty).item()
        for weights in (fit(features, train[1], CLASSES, penalty), minimum)
    )
    found = judged(train, test, penalty=penalty)
    assert 100 / CLASSES + 20 < found < 99
    return ours - theirs, found - score


@pytest.mark.parametrize("penalty", [3e-4, 1e-2])
def test_the_fit_is_that_of_scikit_learn(penalty: float, monkeypatch: pytest.MonkeyPatch) -> None:
    """Within a few of the last steps, each of which lowers the objective by 3e-4 nats at most."""
    above, points = above_scikit_learn(penalty)
    assert -1e-9 < above < 5 * logistic_regression.TOLERANCE
    assert abs(points) <= A_FEW_PICTURES
    monkeypatch.setattr(logistic_regression, "TOLERANCE", 1e-9)  # it ends at the minimum
    above, points = above_scikit_learn(penalty)
    assert abs(above) < 1e-6
    assert abs(points) < 0.025  # two of 10,000 pictures


def test_whitened_training_features_have_mean_0_and_covariance_1() -> None:
    (train, _), (test, _) = clusters()
    white, other = whiten(train.double(), test.double())
    torch.testing.assert_close(white.mean(dim=0), torch.zeros(WIDTH).double(), atol=1e-9, rtol=0)
    torch.testing.assert_close(white.T @ white / len(white), torch.eye(WIDTH).double())
    shift = train.double().mean(dim=0)
    solved = torch.linalg.lstsq(train.double() - shift, white).solution  # the one linear map
    torch.testing.assert_close(other, (test.double() - shift) @ solved)


CHANGES: dict[str, Change] = {
    "scaled-down": lambda features: features / 1000,
    "scaled-up": lambda features: features * 1000,
    "shifted": lambda features: features + torch.linspace(-20, 20, WIDTH),
    "each-scaled": lambda features: features * torch.logspace(0.5, -0.5, WIDTH),
    "turned": lambda features: features @ turn(),
}


def turn() -> Tensor:
    """A rotation of the features."""
    drawn = torch.randn(WIDTH, WIDTH, generator=torch.Generator().manual_seed(2))
    return torch.linalg.qr(drawn).Q


@pytest.mark.parametrize("name", CHANGES)
def test_accuracy_is_free_of_scale_shift_and_rotation(name: str) -> None:
    train, test = clusters()
    changed = accuracy(train, test, CHANGES[name])
    assert changed == pytest.approx(accuracy(train, test), abs=A_FEW_PICTURES)


@pytest.mark.parametrize("value", [0.0, 7.3, -1e3], ids="value{:g}".format)
def test_a_feature_of_one_value_is_harmless(value: float) -> None:
    train, test = clusters()
    more = accuracy(train, test, lambda part: F.pad(part, (0, 3), value=value))
    assert more == pytest.approx(accuracy(train, test), abs=A_FEW_PICTURES)


def test_a_feature_that_is_dead_in_training_has_no_say_on_held_out_pictures() -> None:
    train, test = clusters()
    lively = torch.randn(len(test[0]), 1, generator=torch.Generator().manual_seed(3))
    dead = (F.pad(train[0], (0, 1)), train[1])
    alive = (torch.cat([test[0], lively], dim=1), test[1])
    assert accuracy(dead, alive) == pytest.approx(accuracy(train, test), abs=A_FEW_PICTURES)


def test_features_of_a_collapsed_encoder_give_the_share_of_the_largest_class() -> None:
    labels = torch.tensor([0] * 70 + [1] * 20 + [2] * 10)
    same = (torch.full((100, 4), 0.3), labels)
    assert judged(same, same, 3) == 70.0


def test_a_class_without_training_pictures_is_never_predicted() -> None:
    train, test = clusters()
    more = judged(train, test, CLASSES + 3)
    assert more == pytest.approx(accuracy(train, test), abs=A_FEW_PICTURES)


def test_the_probe_draws_no_random_numbers_and_repeats_to_the_bit() -> None:
    train, test = clusters()
    found: list[Any] = []
    for seed in (1, 2):
        torch.manual_seed(seed)
        before = torch.get_rng_state()
        found.append(accuracy(train, test))
        assert torch.equal(torch.get_rng_state(), before)
    assert found[0] == found[1]
