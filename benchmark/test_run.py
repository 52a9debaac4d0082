"""Training with nothing ready: whole runs, and the loop of lightly's documentation."""

from __future__ import annotations

from dataclasses import replace
from itertools import count
from pathlib import Path
from statistics import median

import pytest

from benchmark import peers
from benchmark.inputs import random_images
from benchmark.measure import CPU_TIME, WALL_TIME, Compare, Measurement, Timed
from benchmark.training import lightly_seconds, step_recipe, training
from eqco.config import Machine
from eqco.engine.run import run
from eqco.engine.throughput import seconds_per_call
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


def test_photos_loop(compare: Compare) -> None:
    """The loops of all methods and of lightly, images a second and core.

    In processor time, workers included: how fast lightly's loader is depends on what else the
    cores do. They cannot take turns step by step, because the workers decode ahead.
    """
    batch, steps = compare.size(256, 32), compare.size(8, 1)
    works = {
        name: training(step_recipe("cifar10-quick", name, batch=batch), "cifar10-quick")
        for name in METHODS
    }
    wanted = peers.is_installed("lightly") and not compare.tiny
    recipe, images = step_recipe("cifar10-quick", "simclr", batch=batch), random_images(batch, 32)
    seconds: dict[str, list[float]] = {name: [] for name in works}
    theirs: list[float] = []

    def one_round() -> None:
        if wanted:
            theirs.append(lightly_seconds(recipe, images, steps) / batch)
        for name, work in works.items():
            taken = seconds_per_call(work.advance, "cpu", rounds=steps, clock=CPU_TIME)
            seconds[name].append(taken / batch)

    compare.once(one_round, rounds=3)
    if compare.benchmark.disabled:
        return
    for name, ours in seconds.items():
        ratios = [their / mine for their, mine in zip(theirs, ours, strict=False)]
        row = Measurement("run", f"photo loop, {name}", "images/s", {"ours": median(ours)})
        if theirs:
            row.peers, row.times = {"lightly": median(theirs)}, {"lightly": median(ratios)}
        compare.keep(row, batch=batch, negatives=16)
