"""Recipes and machines: one sentence for every invalid value."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import fields, replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from eqco.config import LATER, Machine
from eqco.data import SOURCES
from eqco.losses.registry import LOSSES
from eqco.methods import METHODS
from eqco.recipe import NAMES, NUMBERS, Recipe
from eqco.runtime.validation import shown
from tests.invalid import invalid_of_machine, invalid_of_recipe

EQCO = replace(Recipe(), loss="eqco", alpha=256.0, num_negatives=16)
QUEUE = {"method": "moco", "queue_size": 512}
FILES = replace(EQCO, data="imagenet", views="moco-v2", image_size=224, probe="crops")

INVALID = invalid_of_recipe()
INVALID_MACHINE = invalid_of_machine()


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


EARLIER: dict[str, tuple[Any, ...]] = {
    "knn_neighbours": (0, -1),
    "probe_learning_rate": (1e38,),
    "warmup_epochs": (math.nan, -1),
    "crop_scale": (5, 0, -1, math.nan),
    "epochs": (0.5, -1),
    "temperature": ("0.2", 0.0, math.nan),
    "batch_size": (64.0, "256", 1),
    "key_momentum": (math.inf, 1.0, -0.1),
    "alpha": (0.0, -1.0, math.inf),
    "data_part": (0.0, 1.5),
    "image_size": (10**400,),
    "queue_size": (None,),
    "bn_splits": (True,),
    "second_temperature": ([],),
}


@pytest.mark.parametrize("field", EARLIER)
def test_values_that_earlier_versions_accepted_raise_an_error(field: str) -> None:
    """Independent of the tables that make the other cases."""
    for value in EARLIER[field]:
        check_refused(Recipe, field, value)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"temperature": 0.0}, r"^temperature must lie in \[0.0001, 1e\+06\], got 0.0$"),
        ({"knn_neighbours": 0}, "^knn_neighbours must be a whole number from 1 to 2147483648, got"),
        ({"crop_scale": 5}, r"^crop_scale must lie in \(0, 1\], got 5$"),
        ({"key_momentum": 1.0}, r"^key_momentum must lie in \[0, 1\), got 1.0$"),
        ({"epochs": 10**400}, "^epochs must be a whole number .*, got an integer of 1329 bits$"),
        ({"loss": "eqko"}, "unknown loss 'eqko': did you mean eqco"),
        ({"method": "sim"}, "unknown method 'sim': did you mean simo"),
        ({"drawing": "share"}, "unknown drawing 'share': did you mean shared"),
        ({"precision": "float16"}, "unknown precision 'float16': did you mean .*float"),
        ({"backbone": "resnet51"}, "unknown backbone 'resnet51': did you mean .*resnet50"),
        ({"views": "moco"}, "unknown views 'moco': did you mean moco-v2"),
        ({"projector": "mlpp"}, "unknown projector 'mlpp': did you mean mlp"),
        ({"probe": "feature"}, "unknown probe 'feature': did you mean features"),
        ({"data": "glyfs"}, "unknown data set 'glyfs': did you mean glyphs"),
        ({"data": None}, "^data must be the name of a data set, got None$"),
        ({"loss": "eqco"}, "^loss 'eqco' needs alpha, for instance alpha=256$"),
        ({"loss": "dual_temperature"}, "loss 'dual_temperature' needs second_temperature"),
        ({"alpha": 256.0}, "alpha=256.0 has no meaning for loss 'infonce'"),
        ({"second_temperature": 1.0}, "second_temperature=1.0 has no meaning for loss 'infonce'"),
        ({"loss": "sogclr"}, "^loss 'sogclr' needs sog_gamma, for instance sog_gamma=0.9$"),
        ({"loss": "hard_infonce"}, "^loss 'hard_infonce' needs hardness, for instance hardness=1$"),
        ({"hardness": 1.0}, "hardness=1.0 has no meaning for loss 'infonce'"),
        ({"loss": "sogclr", "sog_gamma": 0}, r"^sog_gamma must lie in \(0, 1\], got 0$"),
        ({"num_synthetic": 15, **QUEUE}, "num_synthetic=15 has no meaning for method 'moco'"),
        (
            {**QUEUE, "method": "synco", "num_synthetic": 16},
            "^num_synthetic is 16, which the six kinds .*: choose a multiple of 15, or 0 for none$",
        ),
        (
            {**QUEUE, "method": "synco", "num_synthetic": 15, "num_negatives": 16, "draws": 2},
            "^draws=2 does not go with num_synthetic=15: .* or num_synthetic at 0$",
        ),
        ({"method": "moco"}, "queue holds 0 keys, the batch brings 256: enlarge queue_size"),
        ({"method": "moco", "queue_size": 255}, "queue holds 255 keys, the batch brings 256"),
        ({"queue_size": 512}, "queue_size=512 has no meaning for method 'simo'"),
        ({"queue_size": 512, "method": "simclr"}, "queue_size=512 has no meaning for method 'simc"),
        ({"bn_splits": 2}, "bn_splits=2 has no meaning for method 'simo'"),
        ({"bn_splits": 3, **QUEUE}, "bn_splits is 3, which does not divide a batch of 256"),
        (
            {"num_negatives": 513, **QUEUE},
            "num_negatives is 513, but MoCo v2 with queue_size=512 has 1 to 512 negatives",
        ),
        (
            {"method": "simclr", "num_negatives": 511},
            "num_negatives is 511, but SimCLR with batch_size=256 has 1 to 510 negatives",
        ),
        (
            {"num_negatives": 256},
            "num_negatives is 256, but SiMo with batch_size=256 has 1 to 255 negatives",
        ),
        (
            {"num_negatives": 16, "draws": 16},
            "^draws is 16, but SiMo with batch_size=256 has 255 negatives for each query, enough "
            "for 1 to 15 disjoint draws of 16$",
        ),
        ({"draws": 2}, "draws is 2, but .* enough for 1 to 1 disjoint draws of 255"),
        (
            {"loss": "dcl_jackknife", "num_negatives": 1},
            "^loss 'dcl_jackknife' needs num_negatives of at least 2, got 1$",
        ),
        ({"image_size": 32}, "image_size=32 does not go with data 'glyphs', which is held in mem"),
        ({"views": "moco-v2"}, "views='moco-v2' does not go with data 'glyphs'"),
        ({"probe": "crops"}, "probe='crops' does not go with data 'glyphs'"),
        ({"data": "imagenet"}, "image_size=None does not go with data 'imagenet', which is read f"),
        ({"data": "part:photos-12345678"}, "does not go with data 'part:photos-12345678'"),
        (
            {"data": "imagenet", "image_size": 224},
            "views='glyphs' does not go with data 'imagenet'",
        ),
        (
            {"data": "imagenet", "image_size": 224, "views": "moco-v2"},
            "probe='features' does not go with data 'imagenet'",
        ),
    ],
    ids=lambda value: (
        "-".join(f"{name}={v}"[:40] for name, v in value.items()) if isinstance(value, dict) else ""
    ),
)
def test_an_error_says_what_is_wrong(change: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        replace(Recipe(), **change)


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


def test_whether_images_are_read_from_files_depends_on_the_data_alone() -> None:
    assert FILES.from_files
    assert not EQCO.from_files
    assert {name for name, source in SOURCES.items() if source.from_files} == {
        "imagenet",
        "part",
        "files",
    }


def test_paths_of_a_machine_may_be_text() -> None:
    assert Machine(data_dir="some/where").data_dir == Path("some/where")  # type: ignore[arg-type]
    assert Machine(device="cuda:1").device == "cuda:1"
