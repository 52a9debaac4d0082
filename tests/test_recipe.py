"""Recipes: identity of a run, and everything that cannot be said in one."""

from __future__ import annotations

import math
import subprocess
import sys
from dataclasses import asdict, fields, replace
from typing import Any

import pytest

from eqco import recipe as recipes
from eqco.recipe import SCALES, Recipe, check_name, nearest

EQCO = replace(Recipe(), loss="eqco", alpha=256.0, num_negatives=16)

# Another value for each field, such that the recipe stays a possible one.
OTHER: dict[str, Any] = {
    "num_negatives": 17,
    "alpha": 128.0,
    "drawing": "shared",
    "temperature": 0.21,
    "data": "cifar10",
    "data_part": 0.5,
    "views": "photos",
    "crop_scale": 0.7,
    "backbone": "tiny-gray",
    "embedding_dim": 64,
    "key_momentum": 0.98,
    "batch_size": 128,
    "epochs": 16,
    "learning_rate": 0.41,
    "warmup_epochs": 2.0,
    "sgd_momentum": 0.8,
    "weight_decay": 0.0,
    "precision": "bfloat16",
    "probe_epochs": 31,
    "probe_learning_rate": 2.0,
    "knn_neighbours": 2,
    "bn_splits": 2,
    "projector": "mlp",
}


def test_the_digest_of_a_recipe_is_the_one_that_names_the_committed_records() -> None:
    """Taken on 2026-11-24 at NUMERICS 1.

    Where this fails, the identity of every run has changed and every committed record is void:
    change the recipe back, or accept that all of the evidence is to be made again.
    """
    assert recipes.NUMERICS == 1
    assert Recipe().digest() == "85c04791"
    assert EQCO.digest() == "150c1399"
    assert Recipe().run_id(0) == "simo-infonce-k255-85c04791-s0"
    assert EQCO.run_id(3) == "simo-eqco-k16-150c1399-s3"


@pytest.mark.parametrize("name", sorted(OTHER))
def test_every_field_changes_the_digest(name: str) -> None:
    assert replace(EQCO, **{name: OTHER[name]}).digest() != EQCO.digest()


def test_the_loss_changes_the_digest() -> None:
    assert replace(EQCO, loss="infonce", alpha=None).digest() != EQCO.digest()


def test_no_field_is_left_out_of_the_tests_of_the_digest() -> None:
    """Those that depend on each other have a test of their own."""
    together = {"loss", "method", "queue_size", "second_temperature", "image_size", "probe"}
    assert {each.name for each in fields(Recipe)} - together == set(OTHER)


def test_fields_that_came_later_leave_older_digests_alone_and_count_where_they_are_set() -> None:
    assert set(recipes.LATER) <= {each.name for each in fields(Recipe)}
    for name, neutral in recipes.LATER.items():
        assert getattr(Recipe(), name) == neutral
    queue = replace(EQCO, method="moco", queue_size=512)
    dual = replace(EQCO, loss="dual_temperature", alpha=None, second_temperature=1.0)
    variants = [
        replace(EQCO, image_size=224, probe="crops"),
        replace(EQCO, image_size=128, probe="crops"),
        queue,
        replace(queue, queue_size=1024),
        replace(EQCO, method="simclr"),
        dual,
        replace(dual, second_temperature=0.5),
    ]
    assert len({each.digest() for each in [EQCO, *variants]}) == 8


def test_raising_numerics_changes_the_digest(monkeypatch: pytest.MonkeyPatch) -> None:
    before = EQCO.digest()
    monkeypatch.setattr(recipes, "NUMERICS", recipes.NUMERICS + 1)
    assert EQCO.digest() != before


@pytest.mark.parametrize(
    ("name", "whole"), [("alpha", 256), ("learning_rate", 1), ("data_part", 1)]
)
def test_equal_recipes_have_equal_digests(name: str, whole: int) -> None:
    """256 and 256.0 are the same alpha, so they must name the same run."""
    one, other = replace(EQCO, **{name: whole}), replace(EQCO, **{name: float(whole)})
    assert one == other
    assert one.digest() == other.digest()


def test_another_process_computes_the_same_digest(environment: dict[str, str]) -> None:
    there = subprocess.run(
        [sys.executable, "-c", "from eqco.recipe import Recipe; print(Recipe().digest())"],
        env={**environment, "PYTHONHASHSEED": "12345"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert there.stdout.strip() == Recipe().digest()


def test_seeds_share_the_digest_and_differ_in_the_run_id() -> None:
    one, other = EQCO.run_id(0), EQCO.run_id(1)
    assert one.removesuffix("-s0") == other.removesuffix("-s1")


def test_an_untrained_run_says_so_in_its_name() -> None:
    assert replace(Recipe(), epochs=0).run_id(0).startswith("simo-untrained-k255-")


def test_a_recipe_survives_the_way_through_a_dictionary() -> None:
    assert Recipe.of(asdict(EQCO)) == EQCO


def test_an_unknown_field_is_an_error_with_the_nearest_names() -> None:
    with pytest.raises(ValueError, match=r"unknown recipe field 'learning_rat'.*learning_rate"):
        Recipe.of({"learning_rat": 0.1})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"loss": "eqko"}, "unknown loss 'eqko': did you mean eqco"),
        ({"method": "sim"}, "unknown method 'sim': did you mean simo"),
        ({"drawing": "share"}, "unknown drawing 'share': did you mean shared"),
        ({"precision": "float16"}, "unknown precision 'float16': did you mean .*float"),
        ({"temperature": 0.0}, "temperature must be finite and above 0, got 0.0"),
        ({"temperature": math.nan}, "temperature must be finite and above 0, got nan"),
        ({"learning_rate": -0.1}, "learning_rate must be finite and above 0, got -0.1"),
        ({"loss": "eqco"}, "loss 'eqco' needs alpha"),
        ({"loss": "eqco", "alpha": 0.0}, "alpha must be finite and above 0, got 0.0"),
        ({"loss": "eqco", "alpha": -1.0}, "alpha must be finite and above 0, got -1.0"),
        ({"loss": "eqco", "alpha": math.inf}, "alpha must be finite and above 0, got inf"),
        ({"alpha": 256.0}, "alpha=256.0 has no meaning for loss 'infonce'"),
        ({"second_temperature": 1.0}, "second_temperature=1.0 has no meaning for loss 'infonce'"),
        ({"loss": "dual_temperature"}, "loss 'dual_temperature' needs second_temperature"),
        ({"method": "moco"}, "queue_size=0 with method 'moco'"),
        ({"queue_size": 512}, "queue_size=512 with method 'simo'"),
        ({"method": "moco", "queue_size": 255}, "queue holds 255 keys, the batch brings 256"),
        (
            {"method": "moco", "queue_size": 512, "num_negatives": 513},
            "num_negatives is 513, but a queue of 512 has 1 to 512",
        ),
        (
            {"method": "simclr", "num_negatives": 511},
            "num_negatives is 511, but a batch of 256 has 1 to 510",
        ),
        ({"bn_splits": 3}, "bn_splits is 3, which does not divide a batch of 256"),
        ({"num_negatives": 0}, "num_negatives is 0, but a batch of 256 has 1 to 255"),
        ({"num_negatives": 256}, "num_negatives is 256, but a batch of 256 has 1 to 255"),
        ({"batch_size": 1, "num_negatives": 1}, "num_negatives is 1, but a batch of 1 has"),
        ({"epochs": -1}, "epochs=-1"),
        ({"probe_epochs": 0}, "probe_epochs=0"),
        ({"data_part": 0.0}, r"data_part must lie in \(0, 1\], got 0.0"),
        ({"data_part": 1.5}, r"data_part must lie in \(0, 1\], got 1.5"),
    ],
    ids=lambda value: (
        "-".join(f"{name}={v}" for name, v in value.items()) if isinstance(value, dict) else ""
    ),
)
def test_a_recipe_that_cannot_be_is_refused_at_once(change: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        replace(Recipe(), **change)


@pytest.mark.parametrize("name", ["glyph", "cifar", "smok"])
def test_an_unknown_scale_is_answered_with_the_nearest_names(name: str) -> None:
    right = next(each for each in SCALES if each.startswith(name))
    with pytest.raises(ValueError, match=f"unknown scale '{name}': did you mean {right}"):
        check_name("scale", name, list(SCALES))


def test_a_name_like_none_is_answered_with_all_names() -> None:
    assert nearest("loss", "zzz", ("infonce", "eqco")).endswith("did you mean infonce or eqco?")


def test_a_known_name_passes() -> None:
    check_name("scale", "glyphs", list(SCALES))


@pytest.mark.parametrize("name", sorted(SCALES))
def test_the_baseline_of_a_scale_is_info_nce_with_all_negatives(name: str) -> None:
    scale = SCALES[name]
    assert scale.base.loss == "infonce"
    assert scale.base.num_negatives == scale.base.batch_size - 1
    assert list(scale.negatives) == sorted(scale.negatives)
    assert scale.negatives[-1] == scale.base.num_negatives


def test_smoke_is_the_only_scale_that_is_no_evidence() -> None:
    assert [name for name, scale in SCALES.items() if not scale.evidence] == ["smoke"]
