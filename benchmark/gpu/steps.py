"""What a training step waits for, launches and reaches on a device; parts of `benchmark.gpu`.

A step of one GPU: 256 images at `cifar10`, at `imagenet` the 32 that one of eight GPUs has.
"""

from __future__ import annotations

import time
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from itertools import repeat
from pathlib import Path
from statistics import median
from typing import Any

import torch
from torch import Tensor
from torch.profiler import ProfilerActivity, profile

from benchmark.inputs import random_images, write_jpegs
from benchmark.training import Bare, data_of, recipe_of
from eqco.artifacts.run_files import Run
from eqco.config import Machine
from eqco.data import Images
from eqco.data.image_folder import ImageTree, scan
from eqco.data.in_memory import InMemory
from eqco.data.streaming import FromFiles
from eqco.engine.pretrain import Pretraining
from eqco.methods import METHODS
from eqco.recipe import Recipe

GROUP = 10  # steps that are timed together: the device is waited for at their end alone
# Budgets. Launches are a seventh more than estimated: operations of views and forward pass as
# tests/test_devices.py counts them, those of the backward pass from a step on a CPU.
WAITS = 0
LAUNCHES = {
    "cifar10, simo": 600, "cifar10, moco": 1500, "cifar10, simclr": 480, "cifar10, synco": 1550,
    "imagenet, simo": 1450, "imagenet, moco": 1500, "imagenet, simclr": 1150,
    "imagenet, synco": 1550,
}  # fmt: skip
SHARE = 0.9  # of the bare loop's speed
# Images a second, estimated before any GPU had run a step, by a part of the device's name.
ESTIMATES = {
    "A100": {"cifar10, simo": 17_000, "imagenet, simo": 1_500},
    "H100": {"cifar10, simo": 30_000, "imagenet, simo": 2_000},
}


def recipe_for(scale: str, method: str, tiny: bool) -> Recipe:
    """The step of one GPU, K = 16; much smaller in tests."""
    batch = {"cifar10": 16 if tiny else 256, "imagenet": 8 if tiny else 32}[scale]
    recipe = recipe_of(scale, method, 2 if tiny else 16, batch)
    if scale == "imagenet" and recipe.bn_splits > 1:
        recipe = replace(recipe, bn_splits=1)  # eight in the batch of eight GPUs
    if tiny:
        side = 16 if scale == "imagenet" else recipe.image_size
        recipe = replace(recipe, backbone="small-rgb", image_size=side, precision="float32")
    return recipe


class ReadyCrops(FromFiles):
    """Images of a tree whose crops are ready in pinned memory: nothing is decoded."""

    def __init__(self, tree: ImageTree, recipe: Recipe, machine: Machine) -> None:
        super().__init__(tree, recipe, 0, machine)
        side, count = recipe.image_size or 224, 2 * recipe.batch_size
        crops = random_images(count, side).view(-1, 2, 3, side, side)
        self.crops_and_labels = (crops.pin_memory() if machine.device == "cuda" else crops, None)

    def views(self, step: int) -> tuple[Tensor, Tensor]:
        """Query and key view of the same crops at every step."""
        self.next_step, self.ahead = step, repeat(self.crops_and_labels)
        return super().views(step)


def tree_of(report: Any) -> tuple[Path, str]:
    """The given tree of JPEG files, or one made for the purpose; and which it is."""
    if report.data is not None:
        return report.data, "given"
    folder = report.out / "jpegs"
    if not folder.exists():
        write_jpegs(folder, 8 if report.tiny else 512)
    return folder, "made"


def images_of(report: Any, recipe: Recipe, machine: Machine) -> Images:
    """Images whose views are made on the device: random ones, or crops that are ready."""
    if recipe.from_files:
        return ReadyCrops(scan(tree_of(report)[0]), recipe, machine)
    return InMemory(data_of("cifar10", 8 * recipe.batch_size), recipe, 0, machine)


def works(report: Any) -> Iterator[tuple[str, Pretraining]]:
    """Training of every method at both scales of GPUs, ready for its first step."""
    machine = Machine(device=report.device, threads=torch.get_num_threads())
    for scale in ("cifar10", "imagenet"):
        for method in METHODS:
            recipe = recipe_for(scale, method, report.tiny)
            images = images_of(report, recipe, machine)
            yield f"{scale}, {method}", Pretraining(Run(recipe, 0, machine), images)


def waiting_places(step: Callable[[], object], steps: int = 4) -> Counter[str]:
    """Where the processor waits for the device, `file:line`, and how often in all steps.

    Found by torch's debug mode, which does not see an explicit `synchronize` nor collectives.
    """
    torch.cuda.set_sync_debug_mode("warn")
    try:
        with warnings.catch_warnings(record=True) as told:
            warnings.simplefilter("always")
            for _ in range(steps):
                step()
    finally:
        torch.cuda.set_sync_debug_mode("default")
    return Counter(
        f"{Path(each.filename).name}:{each.lineno}"
        for each in told
        if "synchronizing" in str(each.message)
    )


def waits(report: Any) -> dict[str, Any]:
    """Waits a step, from the second to the fifth, and where they are."""
    found: dict[str, Any] = {}
    for name, work in works(report):
        work.advance()
        if report.device == "cpu":
            found[name] = {"a step": 0, "why": "there is no device to wait for"}
            continue
        places = waiting_places(work.advance)
        found[name] = {"a step": places.total() / 4, **places}
    return found


def launches_of(step: Callable[[], object], device: str, steps: int = 3) -> float:
    """Kernels that a step launches; on a CPU its operations."""
    kinds = [ProfilerActivity.CPU, *([ProfilerActivity.CUDA] if device == "cuda" else [])]
    with profile(activities=kinds) as made:
        for _ in range(steps):
            step()
    if device == "cuda":
        total: int = sum(each.count for each in made.key_averages() if "LaunchKernel" in each.key)
    else:
        parents = [(each.name, each.cpu_parent) for each in made.events()]
        total = sum(
            name.startswith("aten::") and not (parent and parent.name.startswith("aten::"))
            for name, parent in parents
        )
    return round(total / steps, 1)


def launches(report: Any) -> dict[str, Any]:
    """Kernels a step, after the first one."""
    found = {}
    for name, work in works(report):
        work.advance()
        found[name] = launches_of(work.advance, report.device, 1 if report.tiny else 3)
    return found


def seconds_of_group(
    step: Callable[[], object], device: str, group: int = GROUP
) -> tuple[float, float]:
    """Seconds of a step until the processor is done with a group, and until the device is."""
    start = time.perf_counter()
    for _ in range(group):
        step()
    launched = time.perf_counter() - start
    torch.get_device_module(device).synchronize()
    return launched / group, (time.perf_counter() - start) / group


def estimate(device: str, name: str) -> float | str:
    """Images a second that were estimated, or "none"."""
    known = torch.cuda.get_device_name() if device == "cuda" else device
    return next((e[name] for part, e in ESTIMATES.items() if part in known and name in e), "none")


def rates(report: Any) -> dict[str, Any]:
    """Images a second beside the estimate and the bare loop, which take turns by groups."""
    found: dict[str, Any] = {}
    for name, work in works(report):
        bare, size = Bare(work.recipe, work.images.views(0)), work.recipe.batch_size
        group, turns = (1, 1) if report.tiny else (GROUP, 5)
        time_of = partial(seconds_of_group, device=report.device, group=group)
        for step in (work.advance, bare.step):  # kernels are chosen
            time_of(step)
        in_turn = [(*time_of(work.advance), time_of(bare.step)[1]) for _ in range(turns)]
        processor, taken, plain = (median(each) for each in zip(*in_turn, strict=True))
        found[name] = {
            "images/s": round(size / taken, 1),
            "images/s, estimated": estimate(report.device, name),
            "images/s, bare loop": round(size / plain, 1),
            "share of the bare loop": round(median(b / a for _, a, b in in_turn), 3),
            "ms a step": round(1000 * taken, 2),
            "ms of the processor": round(1000 * processor, 2),
        }
    return found


def missed(parts: dict[str, Any]) -> dict[str, list[str]]:
    """Budgets that were missed, one sentence each, by the part that measured them."""
    names = ("waits a step", "launches a step", "images a second")
    waits, launches, rates = (
        {name: value for name, value in parts.get(part, {}).items() if name in LAUNCHES}
        for part in names
    )
    told = (
        [f"{name}: {each['a step']:g} waits, budget {WAITS}"
         for name, each in waits.items() if each["a step"] > WAITS],
        [f"{name}: {count:,.0f} launches, budget {LAUNCHES[name]:,}"
         for name, count in launches.items() if count > LAUNCHES[name]],
        [f"{name}: {each['share of the bare loop']:g} of the bare loop, budget {SHARE:g}"
         for name, each in rates.items() if each["share of the bare loop"] < SHARE],
    )  # fmt: skip
    return {part: lines for part, lines in zip(names, told, strict=True) if lines}
