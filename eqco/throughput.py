"""How fast a machine does the image-file recipes: images a second, which is what a run's price is.

    python -m eqco throughput --data part:PATH            one process
    python -m torch.distributed.run --standalone --nproc-per-node=8 -m eqco throughput --data ...

Four rates: JPEG files decoded and cropped, training on views that are ready, training on files,
and the probe on files. Where training on files is no faster than decoding, more workers help.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from eqco import parallel
from eqco import record as records
from eqco.feed import FromFiles
from eqco.loading import Steps, loader
from eqco.pretrain import Run
from eqco.probe_crops import STEPS_AT_ONCE, Frozen, Probe
from eqco.recipe import Machine, Recipe
from eqco.tree import ImageTree

WARM_UP = 3  # steps that are not timed: workers start, kernels are chosen


@dataclass(frozen=True)
class Ready:
    """A feed that has its views already: what the device does when nobody keeps it waiting."""

    shuffle: Any
    both: tuple[Tensor, Tensor]

    def views(self, step: int) -> tuple[Tensor, Tensor]:
        """The same two views at every step."""
        return self.both


def rate_of(
    one: Callable[[], object], images: int, steps: int, device: str, warm_up: int = WARM_UP
) -> float:
    """Images a second of `steps` calls, all processes together, after `warm_up` of them."""

    def several(count: int) -> None:
        for _ in range(count):
            one()
        if device.startswith("cuda"):
            torch.cuda.synchronize()

    several(warm_up)
    clock = time.perf_counter()
    several(steps)
    return images * steps / (time.perf_counter() - clock)


def throughput(recipe: Recipe, tree: ImageTree, machine: Machine, steps: int) -> dict[str, Any]:
    """Rates in images a second, all processes together, and what they were measured on.

    Args:
        recipe: one that reads files; its batch must not be larger than the tree.
        tree: real images.
        machine: device, workers, compile.
        steps: timed for each rate.

    Raises:
        ValueError: `steps` is not above 0.
        TrainingError: the batch does not fit the tree or the processes.
    """
    if steps < 1:
        raise ValueError(f"steps must be at least 1, got {steps}")
    torch.set_num_threads(machine.threads)
    size, device = recipe.batch_size, machine.device
    per_epoch = max(1, len(tree.train) // size)
    enough = -(-(WARM_UP + steps) * (STEPS_AT_ONCE + 1) // per_epoch)
    recipe = replace(recipe, epochs=enough, probe_epochs=enough)
    run = Run(recipe, 0, tree, machine)
    files, rates = run.feed, {}
    assert isinstance(files, FromFiles)
    ahead = WARM_UP + 2 * machine.workers  # batches that workers hold ready are not timed
    batches = iter(
        loader(files.crops, machine, batch_sampler=Steps(files.shuffle, 0, ahead + steps))
    )
    rates["files"] = rate_of(lambda: next(batches), size, steps, device, ahead)
    run.feed = Ready(files.shuffle, files.views(0))  # type: ignore[assignment]
    rates["training_on_ready_views"] = rate_of(run.advance, size, steps, device)
    run.feed = files
    rates["training"] = rate_of(run.advance, size, steps, device)
    frozen = Frozen(run.method.encoder.backbone, recipe, tree, device)
    probe = Probe(frozen, tree, recipe, 0, machine)
    crops = iter(loader(probe.crops, machine, batch_sampler=Steps(probe.shuffle, 0, probe.steps)))
    at_once = max(1, min(STEPS_AT_ONCE, 4096 // size))

    def some_steps() -> None:
        images = torch.cat([batch[:, 0] for batch, _ in islice(crops, at_once)])
        frozen.features(images)

    rates["probing"] = rate_of(some_steps, size * at_once, max(1, steps // at_once), device)
    return {
        "images_per_second": {name: round(rate, 2) for name, rate in rates.items()},
        "steps": steps,
        "batch_size": size,
        "backbone": recipe.backbone,
        "image_size": recipe.image_size,
        "precision": recipe.precision,
        "date": records.now(),
        **records.provenance(machine),
    }


def measure_here(
    recipe: Recipe, tree: ImageTree, machine: Machine, steps: int, out: Path | None
) -> dict[str, Any] | None:
    """Measure, with torchrun's other processes where there are some; write and return what came.

    Returns:
        The measurement; None on all processes but the first.
    """
    if out:
        records.check_writable(out.parent)
    machine = replace(machine, device=parallel.start(machine.device))
    try:
        found = throughput(recipe, tree, machine, steps)
        if parallel.rank() > 0:
            return None
        if out:
            records.write_atomically(out, json.dumps(found, indent=1) + "\n")
        return found
    finally:
        parallel.stop()
