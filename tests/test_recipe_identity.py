"""Recipes: what names a run, and what changes that name."""

from __future__ import annotations

from dataclasses import asdict, fields, replace
from typing import Any

import pytest

from eqco import config
from eqco.recipe import Recipe

EQCO = replace(Recipe(), loss="eqco", alpha=256.0, num_negatives=16)
QUEUE = {"method": "moco", "queue_size": 512}
FILES = replace(EQCO, data="imagenet", views="moco-v2", image_size=224, probe="crops")

# Another value for each field, such that the recipe stays a possible one.
OTHER: dict[str, Any] = {
    "num_negatives": 17, "alpha": 128.0, "drawing": "shared", "temperature": 0.21,
    "data": "cifar10", "data_part": 0.5, "views": "photos", "crop_scale": 0.7,
    "backbone": "tiny-gray", "embedding_dim": 64, "key_momentum": 0.98, "batch_size": 128,
    "epochs": 16, "learning_rate": 0.41, "warmup_epochs": 2.0, "sgd_momentum": 0.8,
    "weight_decay": 0.0, "precision": "bfloat16", "probe_epochs": 31, "probe_learning_rate": 2.0,
    "knn_neighbours": 2, "projector": "mlp", "draws": 2, "probe_penalty": 1e-3, "validation": 5,
    "loss_scale": 2.0, "variance_penalty": 1.0,
}  # fmt: skip


def test_the_digest_of_a_recipe_is_the_one_that_names_records() -> None:
    """The long ones were taken on 2026-11-24 at NUMERICS 1, the others on 2026-11-28 at 2.

    Where this fails, the identity of every run has changed and every committed record is void:
    change the recipe back, or accept that all of the evidence is to be made again.
    """
    long = [replace(each, epochs=15, learning_rate=0.16) for each in (Recipe(), EQCO)]
    assert [each.digest(1) for each in long] == ["85c04791", "150c1399"]
    assert long[0].run_id(0, 1) == "simo-infonce-k255-85c04791-s0"
    assert long[1].run_id(3, 1) == "simo-eqco-k16-150c1399-s3"
    assert [each.digest(2) for each in (Recipe(), EQCO)] == ["632193d5", "8dc990c0"]
    assert Recipe().digest() == Recipe().digest(config.NUMERICS) != Recipe().digest(1)


@pytest.mark.parametrize("name", sorted(OTHER))
def test_every_field_changes_the_digest(name: str) -> None:
    assert replace(EQCO, **{name: OTHER[name]}).digest() != EQCO.digest()


def test_no_field_is_left_out_of_the_tests_of_the_digest() -> None:
    """Those that depend on each other have a test of their own."""
    together = {
        "loss", "method", "queue_size", "bn_splits", "second_temperature", "image_size", "probe",
        "hardness", "sog_gamma", "num_synthetic",
    }  # fmt: skip
    assert {each.name for each in fields(Recipe)} - together == set(OTHER)


def test_fields_that_came_later_leave_older_digests_alone_and_count_where_they_are_set() -> None:
    assert set(config.LATER) <= {each.name for each in fields(Recipe)}
    for name, neutral in config.LATER.items():
        assert getattr(Recipe(), name) == neutral
    queue = replace(EQCO, **QUEUE)
    dual = replace(EQCO, loss="dual_temperature", alpha=None, second_temperature=1.0)
    hard = replace(EQCO, loss="hard_infonce", alpha=None, hardness=1.0)
    sogclr = replace(EQCO, loss="sogclr", alpha=None, sog_gamma=0.9)
    synco = replace(queue, method="synco")
    variants = [
        replace(EQCO, loss="infonce", alpha=None), replace(EQCO, method="simclr"),
        hard, replace(hard, hardness=0.0), sogclr, replace(sogclr, sog_gamma=0.5),
        synco, replace(synco, num_synthetic=15), FILES, replace(FILES, image_size=128),
        queue, replace(queue, queue_size=1024), replace(queue, bn_splits=2),
        dual, replace(dual, second_temperature=0.5),
    ]  # fmt: skip
    assert len({each.digest() for each in [EQCO, *variants]}) == 1 + len(variants)


def test_raising_numerics_changes_the_digest(monkeypatch: pytest.MonkeyPatch) -> None:
    before = EQCO.digest()
    monkeypatch.setattr(config, "NUMERICS", config.NUMERICS + 1)
    assert EQCO.digest() != before


@pytest.mark.parametrize(
    ("name", "whole"), [("alpha", 256), ("learning_rate", 1), ("data_part", 1)]
)
def test_equal_recipes_have_equal_digests(name: str, whole: int) -> None:
    """256 and 256.0 are the same alpha, so they must name the same run."""
    one, other = replace(EQCO, **{name: whole}), replace(EQCO, **{name: float(whole)})
    assert one == other
    assert one.digest() == other.digest()


def test_seeds_share_the_digest_and_differ_in_the_run_id() -> None:
    one, other = EQCO.run_id(0), EQCO.run_id(1)
    assert one.removesuffix("-s0") == other.removesuffix("-s1")


def test_the_name_of_an_untrained_run_says_untrained() -> None:
    assert replace(Recipe(), epochs=0).run_id(0).startswith("simo-untrained-k255-")


def test_a_recipe_survives_the_way_through_a_dictionary() -> None:
    assert Recipe.of(asdict(EQCO)) == EQCO


def test_an_unknown_field_is_an_error_with_the_nearest_names() -> None:
    with pytest.raises(ValueError, match=r"unknown recipe field 'learning_rat'.*learning_rate"):
        Recipe.of({"learning_rat": 0.1})
