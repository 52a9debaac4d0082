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
from benchmark.training import Bare, scale_data, step_recipe
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
    recipe = step_recipe(scale, method, 2 if tiny else 16, batch)
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


def image_tree(report: Any) -> tuple[Path, str]:
    """The given tree of JPEG files, or one made for the purpose; and which it is."""
    if report.data is not None:
        return report.data, "given"
    folder = report.out / "jpegs"
    if not folder.exists():
        write_jpegs(folder, 8 if report.tiny else 512)
    return folder, "made"


def device_images(report: Any, recipe: Recipe, machine: Machine) -> Images:
    """Images whose views are made on the device: random ones, or crops that are ready."""
    if recipe.from_files:
        return ReadyCrops(scan(image_tree(report)[0]), recipe, machine)
    return InMemory(scale_data("cifar10", 8 * recipe.batch_size), recipe, 0, machine)


def works(report: Any) -> Iterator[tuple[str, Pretraining]]:
    """Training of every method at both scales of GPUs, ready for its first step."""
    machine = Machine(device=report.device, threads=torch.get_num_threads())
    for scale in ("cifar10", "imagenet"):
        for method in METHODS:
            recipe = recipe_for(scale, method, report.tiny)
            images = device_images(report, recipe, machine)
            yield f"{scale}, {method}", Pretraining(Run(recipe, 0, machine), images)


def waiting_places(step: Callable[[], object], steps: int = 4) -> Counter[str]:
    """Where the processor waits for the device, `file:line`, and how often in all steps.

    Found by torch's debug mode, which does not see an explicit `synchronize` nor collectives.
    """
    torch.cuda.set_sync_debug_mode("warn")
    try:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            for _ in range(steps):
                step()
    finally:
        torch.cuda.set_sync_debug_mode("default")
    return Counter(
        f"{Path(warning.filename).name}:{warning.lineno}"
        for warning in caught
        if "synchronizing" in str(warning.message)
    )


def waits(report: Any) -> dict[str, Any]:
    """Waits a step, from the second to the fifth, and where they are."""
    counts: dict[str, Any] = {}
    for name, work in works(report):
        work.advance()
        if report.device == "cpu":
            counts[name] = {"a step": 0, "why": "there is no device to wait for"}
            continue
        places = waiting_places(work.advance)
        counts[name] = {"a step": places.total() / 4, **places}
    return counts


def count_launches(step: Callable[[], object], device: str, steps: int = 3) -> float:
    """Kernels that a step launches; on a CPU its operations."""
    kinds = [ProfilerActivity.CPU, *([ProfilerActivity.CUDA] if device == "cuda" else [])]
    with profile(activities=kinds) as profiler:
        for _ in range(steps):
            step()
    if device == "cuda":
        averages = profiler.key_averages()
        total: int = sum(event.count for event in averages if "LaunchKernel" in event.key)
    else:
        parents = [(event.name, event.cpu_parent) for event in profiler.events()]
        total = sum(
            name.startswith("aten::") and not (parent and parent.name.startswith("aten::"))
            for name, parent in parents
        )
    return round(total / steps, 1)


def launches(report: Any) -> dict[str, Any]:
    """Kernels a step, after the first one."""
    counts = {}
    for name, work in works(report):
        work.advance()
        counts[name] = count_launches(work.advance, report.device, 1 if report.tiny else 3)
    return counts


def group_seconds(
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
    device_name = torch.cuda.get_device_name() if device == "cuda" else device
    for part, estimates in ESTIMATES.items():
        if part in device_name and name in estimates:
            return estimates[name]
    return "none"


def rates(report: Any) -> dict[str, Any]:
    """Images a second beside the estimate and the bare loop, which take turns by groups."""
    measurements: dict[str, Any] = {}
    for name, work in works(report):
        bare, size = Bare(work.recipe, work.images.views(0)), work.recipe.batch_size
        group, turns = (1, 1) if report.tiny else (GROUP, 5)
        time_of = partial(group_seconds, device=report.device, group=group)
        for step in (work.advance, bare.step):  # kernels are chosen
            time_of(step)
        in_turn = [(*time_of(work.advance), time_of(bare.step)[1]) for _ in range(turns)]
        processor, seconds, bare_seconds = map(median, zip(*in_turn, strict=True))
        measurements[name] = {
            "images/s": round(size / seconds, 1),
            "images/s, estimated": estimate(report.device, name),
            "images/s, bare loop": round(size / bare_seconds, 1),
            "share of the bare loop": round(median(b / a for _, a, b in in_turn), 3),
            "ms a step": round(1000 * seconds, 2),
            "ms of the processor": round(1000 * processor, 2),
        }
    return measurements


def missed(parts: dict[str, Any]) -> dict[str, list[str]]:
    """Budgets that were missed, one sentence each, by the part that measured them."""
    names = ("waits a step", "launches a step", "images a second")
    waits, launches, rates = (
        {name: value for name, value in parts.get(part, {}).items() if name in LAUNCHES}
        for part in names
    )
    sentences = (
        [f"{name}: {value['a step']:g} waits, budget {WAITS}"
         for name, value in waits.items() if value["a step"] > WAITS],
        [f"{name}: {count:,.0f} launches, budget {LAUNCHES[name]:,}"
         for name, count in launches.items() if count > LAUNCHES[name]],
        [f"{name}: {value['share of the bare loop']:g} of the bare loop, budget {SHARE:g}"
         for name, value in rates.items() if value["share of the bare loop"] < SHARE],
    )  # fmt: skip
    return {part: lines for part, lines in zip(names, sentences, strict=True) if lines}
