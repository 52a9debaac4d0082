"""The recipe of one's own images fits their number, and options that do not fit are named."""

from __future__ import annotations

from pathlib import Path

import pytest

from eqco.cli.train_defaults import default_recipe, fitting_batch, queue_settings
from eqco.losses.registry import LOSSES
from eqco.methods import METHODS


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three hundred files that are listed, not opened."""
    root = tmp_path_factory.mktemp("images")
    for place in range(300):
        (root / f"{place}.jpg").write_bytes(b"x")
    return root


@pytest.mark.parametrize("images", [8, 9, 31, 32, 300, 1023, 1024, 10**6])
def test_a_batch_leaves_four_steps_an_epoch(images: int) -> None:
    batch = fitting_batch(images)
    assert 2 <= batch <= 256
    assert images // batch >= 4
    assert batch == 256 or images // (2 * batch) < 4


@pytest.mark.parametrize("batch", [2, 8, 48, 100, 256])
def test_a_queue_holds_whole_batches_whose_parts_are_equal(batch: int) -> None:
    found = queue_settings(batch, 300)
    assert found["queue_size"] % batch == 0 < found["queue_size"]
    assert batch % found["bn_splits"] == 0
    assert batch // found["bn_splits"] > 1


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("loss", LOSSES)
def test_every_method_and_loss_has_a_recipe(method: str, loss: str, folder: Path) -> None:
    recipe = default_recipe(folder, 32, {"method": method, "loss": loss})
    assert (recipe.method, recipe.loss, recipe.batch_size) == (method, loss, 64)
    with_alpha = LOSSES[loss].setting == "alpha"
    assert recipe.num_negatives == (16 if with_alpha else recipe.available())


def test_options_that_are_given_are_kept(folder: Path) -> None:
    given = {
        "batch_size": 32, "epochs": 7, "backbone": "resnet50", "learning_rate": 0.5,
        "num_negatives": 9, "alpha": 64.0, "temperature": 0.1, "method": "moco", "queue_size": 96,
    }  # fmt: skip
    recipe = default_recipe(folder, 224, given)
    assert {name: getattr(recipe, name) for name in given} == given
    assert recipe.from_files
    assert recipe.image_size == 224


def test_the_rate_grows_with_the_batch(folder: Path) -> None:
    rates = [default_recipe(folder, 32, {"batch_size": n}).learning_rate for n in (32, 64)]
    assert rates == pytest.approx([0.02, 0.04])


def test_a_batch_that_does_not_fit_is_named(folder: Path) -> None:
    with pytest.raises(ValueError, match=r"--batch-size 512 is more than the 300 images of .* 64"):
        default_recipe(folder, 32, {"batch_size": 512})
