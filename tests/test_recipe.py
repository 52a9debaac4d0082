"""Recipes and machines: one sentence for every invalid value, and what names a run."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import fields, replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from eqco import config
from eqco.config import LATER, Machine, numbers_of
from eqco.losses.registry import LOSSES
from eqco.methods import METHODS
from eqco.recipe import NAMES, NUMBERS, Recipe
from eqco.runtime.validation import Number, shown

NO_NUMBER: tuple[Any, ...] = ("0.2", "256", "", True, [], {}, math.nan, math.inf)
NO_NAME: tuple[Any, ...] = (None, [], ["simo"], 1, True, "", "no such name")


def invalid_numbers(number: Number) -> Iterator[Any]:
    """Values of another type, not finite, or out of the range."""
    yield from NO_NUMBER
    yield from (-math.inf, 10**400, -(10**400))
    if not number.optional:
        yield None
    if number.whole:
        yield from (number.low + 0.5, float(number.low + 2), 2**63)
    yield number.low if number.open_low else number.low - 1
    if number.high < math.inf:
        yield number.high if number.open_high else number.high * 1.01
        yield 1e300


INVALID: dict[str, list[Any]] = {
    **{field: list(invalid_numbers(number)) for field, number in NUMBERS.items()},
    # names with a letter too few
    **{field: [*NO_NAME, *(name[:-1] for name in names)] for field, names in NAMES.items()},
    "data": [*NO_NAME, "glyfs", "glyphs:x", "imagenet-"],
}
INVALID_MACHINE: dict[str, list[Any]] = {
    **{field: list(invalid_numbers(number)) for field, number in numbers_of(Machine).items()},
    **{field: [None, [], 3, "", "  "] for field in ("data_dir", "checkpoints")},
    "device": [None, [], 1, "", "banana", "gpu", "CPU"],
    "compile": [None, 1, "yes"],
}

EQCO = replace(Recipe(), loss="eqco", alpha=256.0, num_negatives=16)
QUEUE = {"method": "moco", "queue_size": 512}
FILES = replace(EQCO, data="imagenet", views="moco-v2", image_size=224, probe="crops")


def check_refused(make: Callable[..., object], field: str, value: Any) -> None:
    """Raises ValueError with one sentence that names field and value."""
    with pytest.raises(ValueError, match=field) as caught:
        make(**{field: value})
    text = str(caught.value)
    assert "\n" not in text
    assert shown(value) in text


@pytest.mark.parametrize("field", INVALID)
def test_an_invalid_value_of_a_recipe_is_one_sentence_with_field_and_value(field: str) -> None:
    for value in INVALID[field]:
        check_refused(Recipe, field, value)
        check_refused(partial(replace, EQCO), field, value)


def test_every_field_of_a_recipe_and_of_a_machine_is_checked() -> None:
    assert {each.name for each in fields(Machine)} == set(INVALID_MACHINE)
    every = {each.name for each in fields(Recipe)}
    assert every == {*NUMBERS, *NAMES, "data"} == set(INVALID)
    assert not set(NUMBERS) & set(NAMES)


@pytest.mark.parametrize("field", INVALID_MACHINE)
def test_an_invalid_value_of_a_machine_is_one_sentence_with_field_and_value(field: str) -> None:
    for value in INVALID_MACHINE[field]:
        check_refused(Machine, field, value)


SYNCO = {**QUEUE, "method": "synco"}
LARGE = {"data": "imagenet", "image_size": 224}
MESSAGES: dict[str, dict[str, Any]] = {  # the changes of a recipe, by what is wrong with them
    r"^temperature must lie in \[0.0001, 1e\+06\], got 0.0$": {"temperature": 0.0},
    "^knn_neighbours must be a whole number from 1 to 2147483648, got": {"knn_neighbours": 0},
    r"^crop_scale must lie in \(0, 1\], got 5$": {"crop_scale": 5},
    r"^key_momentum must lie in \[0, 1\), got 1.0$": {"key_momentum": 1.0},
    "^epochs must be a whole number .*, got an integer of 1329 bits$": {"epochs": 10**400},
    "unknown loss 'eqko': did you mean eqco": {"loss": "eqko"},
    "unknown data set 'glyfs': did you mean glyphs": {"data": "glyfs"},
    "^data must be the name of a data set, got None$": {"data": None},
    r"^sog_gamma must lie in \(0, 1\], got 0$": {"loss": "sogclr", "sog_gamma": 0},
    "num_synthetic=15 has no meaning for method 'moco'": {"num_synthetic": 15, **QUEUE},
    "^num_synthetic is 16, which the six kinds .*: choose a multiple of 15, or 0 for none$":
        {**SYNCO, "num_synthetic": 16},
    "^draws=2 does not go with num_synthetic=15: .* or num_synthetic at 0$":
        {**SYNCO, "num_synthetic": 15, "num_negatives": 16, "draws": 2},
    "queue holds 0 keys, the batch brings 256: enlarge queue_size": {"method": "moco"},
    "queue holds 255 keys, the batch brings 256": {"method": "moco", "queue_size": 255},
    "queue_size=512 has no meaning for method 'simo'": {"queue_size": 512},
    "bn_splits=2 has no meaning for method 'simo'": {"bn_splits": 2},
    "bn_splits is 3, which does not divide a batch of 256": {"bn_splits": 3, **QUEUE},
    "num_negatives is 513, but MoCo v2 with queue_size=512 has 1 to 512 negatives":
        {"num_negatives": 513, **QUEUE},
    "num_negatives is 511, but SimCLR with batch_size=256 has 1 to 510 negatives":
        {"method": "simclr", "num_negatives": 511},
    "num_negatives is 256, but SiMo with batch_size=256 has 1 to 255 negatives":
        {"num_negatives": 256},
    "^draws is 16, but SiMo .* 255 negatives for each query, enough for 1 to 15 disjoint draws of":
        {"num_negatives": 16, "draws": 16},
    "draws is 2, but .* enough for 1 to 1 disjoint draws of 255": {"draws": 2},
    "^loss 'dcl_jackknife' needs num_negatives of at least 2, got 1$":
        {"loss": "dcl_jackknife", "num_negatives": 1},
    "image_size=32 does not go with data 'glyphs', which is held in mem": {"image_size": 32},
    "views='moco-v2' does not go with data 'glyphs'": {"views": "moco-v2"},
    "probe='crops' does not go with data 'glyphs'": {"probe": "crops"},
    "image_size=None does not go with data 'imagenet', which is read f": {"data": "imagenet"},
    "does not go with data 'part:photos-12345678'": {"data": "part:photos-12345678"},
    "views='glyphs' does not go with data 'imagenet'": LARGE,
    "probe='features' does not go with data 'imagenet'": {**LARGE, "views": "moco-v2"},
}  # fmt: skip


@pytest.mark.parametrize("message", MESSAGES)
def test_an_error_says_what_is_wrong(message: str) -> None:
    with pytest.raises(ValueError, match=message):
        replace(Recipe(), **MESSAGES[message])


@pytest.mark.parametrize("name", [name for name, loss in LOSSES.items() if loss.setting])
def test_a_loss_needs_its_own_setting_and_another_has_none(name: str) -> None:
    field, example = LOSSES[name].setting, LOSSES[name].example
    with pytest.raises(ValueError, match=f"^loss '{name}' needs {field}, for instance {field}="):
        Recipe(loss=name)
    with pytest.raises(ValueError, match=rf"{field}=\S+ has no meaning for loss 'infonce'"):
        Recipe(**{field: example})


def test_none_is_allowed_in_optional_fields_only() -> None:
    optional = {name for name, number in NUMBERS.items() if number.optional}
    assert optional == {each.name for each in fields(Recipe) if "None" in str(each.type)}
    assert {loss.setting for loss in LOSSES.values()} - {""} <= optional


@pytest.mark.parametrize("seed", [-1, 0.9, 1.0, "1", True, None, [], 10**400], ids=type)
def test_a_run_has_no_name_for_an_invalid_seed(seed: Any) -> None:
    with pytest.raises(ValueError, match=r"^seed must be a whole number of at least 0, got"):
        Recipe().run_id(seed)


@pytest.mark.parametrize("values", [None, [], "glyphs", 3], ids=repr)
def test_a_recipe_is_made_of_a_table_only(values: Any) -> None:
    with pytest.raises(ValueError, match="a recipe is a table of fields, got"):
        Recipe.of(values)


@pytest.mark.parametrize("name", METHODS)
def test_every_method_names_its_own_fields(name: str) -> None:
    method = METHODS[name]
    assert set(method.own_fields) <= set(LATER)
    assert set(method.usual) <= {each.name for each in fields(Recipe)}
    assert method.pool in NUMBERS


def test_paths_of_a_machine_may_be_text() -> None:
    assert Machine(data_dir="some/where").data_dir == Path("some/where")  # type: ignore[arg-type]
    assert Machine(device="cuda:1").device == "cuda:1"


# What names a run, and what changes that name.

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


def test_the_name_of_an_untrained_run_says_untrained() -> None:
    assert replace(Recipe(), epochs=0).run_id(0).startswith("simo-untrained-k255-")


def test_an_unknown_field_is_an_error_with_the_nearest_names() -> None:
    with pytest.raises(ValueError, match=r"unknown recipe field 'learning_rat'.*learning_rate"):
        Recipe.of({"learning_rat": 0.1})
