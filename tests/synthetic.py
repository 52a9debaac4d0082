"""Records that look like those of real runs and are not: for pages and figures without evidence."""

from __future__ import annotations

import math
import random
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import pytest

from eqco.artifacts.record import Record, checksum, now
from eqco.config import Machine
from eqco.engine.run import untrained
from eqco.evaluation.metrics import METRICS
from eqco.recipe import Recipe
from reproductions.experiments import grid as wanted
from reproductions.experiments import missing
from reproductions.results import evidence
from reproductions.scales import SCALES
from reproductions.tables import TABLES, table

SEEDS = range(4)


def accuracy(recipe: Recipe, seed: int) -> float:
    """Less with few negatives, less still with InfoNCE; seeds share a part of their luck."""
    lost = 0.8 / recipe.temperature / recipe.num_negatives / math.sqrt(recipe.draws)
    lost *= 2 if recipe.loss == "infonce" else 1
    lost += abs(math.log(recipe.learning_rate / 0.16)) / 2
    luck = random.Random(f"{seed}").gauss(0, 0.4)
    luck += random.Random(f"{seed} {recipe}").gauss(0, 0.2)
    return (85.0 if recipe.epochs else 60.0) - lost + luck


def make_record(recipe: Recipe, seed: int, linear: float) -> Record:
    """A record with the fields that tables read and an accuracy of the linear probe."""
    return Record.of(
        recipe, seed, Machine(), now(),
        metrics={"linear": linear, "knn": 70.0, "class_mean": 50.0},
        diagnostics={"cv2": 7.0, "one_minus_pi0": 0.8},
        seconds={"train": 40.0, "probe": 5.0, "wall": 46.0},
        note="drawn by another library",
    )  # fmt: skip


def changed(record: Record, **changes: Any) -> Record:
    """A record with other fields and a checksum that fits them."""
    made = replace(record, **changes)
    return replace(made, checksum=checksum(made.body()))


def record(recipe: Recipe, seed: int) -> Record:
    """A record of a run that nobody did."""
    value = accuracy(recipe, seed)
    return replace(
        make_record(recipe, seed, value),
        metrics={name: value - place for place, name in enumerate(METRICS)},
        diagnostics={"cv2": 7.0, "one_minus_pi0": 0.8, "rho2_cv2": 1 / recipe.temperature},
        curve={"step": [0.0], "loss": [5.0]},
    )


def records_of(
    tables: Iterable[int] = tuple(TABLES), grid: bool = True, seeds: range = SEEDS
) -> list[Record]:
    """Records of some tables at scale glyphs, and of the sweep."""
    scale = SCALES["glyphs"]
    recipes = [row.recipe for number in tables for row in table(number, "glyphs").rows]
    recipes += [*(wanted.grid(scale, scale.base) if grid else ()), untrained(scale.base)]
    return [record(recipe, seed) for recipe in dict.fromkeys(recipes) for seed in seeds]


def forget() -> None:
    """Clear what is remembered of the committed records."""
    for cached in (evidence.committed, missing.price):
        cached.cache_clear()


def commit(monkeypatch: pytest.MonkeyPatch, records: Iterable[Record]) -> None:
    """Let these be the committed records, all at scale glyphs, until the test ends."""
    by_scale = {"glyphs": tuple(records)}
    monkeypatch.setattr(evidence, "committed_records", lambda scale: by_scale.get(scale, ()))
    forget()
