"""Training with nothing ready: whole runs, and the loop of lightly's documentation."""

from __future__ import annotations

from dataclasses import replace
from itertools import count
from pathlib import Path

import pytest

from benchmark import peers
from benchmark.inputs import random_images
from benchmark.measure import WALL_TIME, Compare, Timed
from benchmark.training import lightly_loop, processor_seconds, step_recipe, training
from eqco.config import Machine
from eqco.engine.run import run
from eqco.methods import METHODS
from reproductions.scales import SCALES

pytestmark = pytest.mark.benchmark(group="run")


@pytest.mark.parametrize("method", METHODS)
def test_a_whole_run(compare: Compare, method: str, tmp_path: Path) -> None:
    """Training, probes, diagnosis and record at the scale "smoke"."""
    base = replace(SCALES["smoke"].base, epochs=compare.size(4, 1), probe_epochs=5)
    recipe, numbers = SCALES["smoke"].baseline(method, base), count()

    def once() -> None:
        number = next(numbers)
        machine = Machine(threads=1, checkpoints=tmp_path / f"checkpoints-{number}")
        assert run(recipe, 0, machine, tmp_path / f"records-{number}") is not None

    compare(f"smoke, {method}", ours=Timed(once), unit="s", rounds=3, timer=WALL_TIME)


@pytest.mark.parametrize("method", METHODS)
def test_photos_loop(compare: Compare, method: str) -> None:
    """The loop of a method beside lightly's, images a second and core.

    In processor time, workers included: how fast lightly's loader is depends on what else the
    cores do. They cannot take turns step by step, because the workers decode ahead.
    """
    batch, steps = compare.size(256, 32), compare.size(8, 1)
    work = training(step_recipe("cifar10-quick", method, batch=batch), "cifar10-quick")
    lightly = None
    if peers.is_installed("lightly") and not compare.tiny:
        recipe = step_recipe("cifar10-quick", "simclr", batch=batch)
        lightly = lightly_loop(recipe, random_images(batch, 32), steps)

    def run() -> None:
        for _ in range(steps):
            work.advance()

    compare(
        f"photo loop, {method}",
        ours=Timed(run, images=batch * steps),
        lightly=lightly,
        unit="images/s",
        rounds=3,
        timer=processor_seconds,
    )
