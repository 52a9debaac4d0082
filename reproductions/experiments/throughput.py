"""Throughput of this machine on recipes of image files, images per second, for prices of runs.

    python -m reproductions throughput --data part:PATH            one process
    python -m torch.distributed.run --standalone --nproc-per-node=8 -m reproductions throughput ...

Four rates: JPEG files decoded and cropped, training on views that are ready, training on files,
and the probe on files. Where training on files is no faster than decoding, more workers help.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from eqco.artifacts.environment import provenance, source
from eqco.artifacts.record import now
from eqco.artifacts.run_files import Run
from eqco.config import Machine
from eqco.data.dataloader import loader
from eqco.data.image_folder import ImageTree, scan
from eqco.data.streaming import FromFiles, step_batches
from eqco.engine.launchers import choose_device
from eqco.engine.pretrain import Pretraining
from eqco.engine.run import settings_of_torch
from eqco.engine.throughput import ReadyViews, seconds_per_call
from eqco.evaluation.linear_on_crops import STEPS_AT_ONCE, CropProbe
from eqco.recipe import Recipe
from eqco.runtime import distributed
from eqco.runtime.cpu import default_threads
from eqco.runtime.files import check_writable, write_atomically
from reproductions.experiments.resolve import choose_workers, data_folder
from reproductions.scales import SCALES

WARM_UP = 3  # steps that are not timed: workers start, kernels are chosen


def throughput(recipe: Recipe, tree: ImageTree, machine: Machine, steps: int) -> dict[str, Any]:
    """Rates in images a second, all processes together, and what they were measured on.

    Args:
        recipe: one that reads files; its batch must not be larger than the tree.
        tree: real images.
        machine: device, workers, compile.
        steps: timed for each rate.

    Raises:
        TrainingError: the batch does not fit the tree or the processes.
    """
    source()
    size, rates = recipe.batch_size, dict[str, float]()
    per_epoch = max(1, len(tree.train) // size)
    enough = -(-(WARM_UP + steps) * (STEPS_AT_ONCE + 1) // per_epoch)
    recipe = replace(recipe, epochs=enough, probe_epochs=enough)
    files = FromFiles(tree, recipe, 0, machine)
    work = Pretraining(Run(recipe, 0, machine), files)

    def measure(
        name: str, call: Callable[[], object], images: int, rounds: int, warm_up: int = WARM_UP
    ) -> None:
        taken = seconds_per_call(call, machine.device, rounds=rounds, warm_up=warm_up)
        rates[name] = round(images / taken, 2)

    ahead = WARM_UP + 2 * machine.workers  # batches that workers hold ready are not timed
    batches = loader(
        files.crops, machine, batch_sampler=step_batches(files.shuffle, 0, ahead + steps)
    )
    measure("files", lambda: next(batches), size, steps, ahead)
    work.images = ReadyViews(files.shuffle, [files.views(0)])
    measure("training_on_ready_views", work.advance, size, steps)
    work.images = files
    measure("training", work.advance, size, steps)
    probe = CropProbe(work.method.encoder.backbone, files, recipe, 0, machine)
    measure("probing", probe.advance, size * STEPS_AT_ONCE, max(1, steps // STEPS_AT_ONCE))
    return {
        "images_per_second": rates,
        "steps": steps,
        "batch_size": size,
        "backbone": recipe.backbone,
        "image_size": recipe.image_size,
        "precision": recipe.precision,
        "date": now(),
        **provenance(machine),
    }


def main(args: argparse.Namespace) -> int:
    """Measure, with torchrun's other processes where there are some; write and print the result.

    Raises:
        ValueError: the scale does not read files, or the data is no image tree.
    """
    recipe, size = SCALES[args.scale].base, args.batch_size
    if not recipe.from_files:
        raise ValueError(f"throughput is measured at scale imagenet only, got {args.scale}")
    _, folder = data_folder(args.data)
    recipe = replace(recipe, batch_size=size, num_negatives=min(255, size - 1))
    machine = Machine(
        device=choose_device(args.device),
        threads=args.threads or default_threads(),
        workers=choose_workers(args.workers, recipe, 1, "here"),
        compile=args.compile,
    )
    if args.out:
        check_writable(args.out.parent)
    machine = replace(machine, device=distributed.start(machine.device))
    try:
        with settings_of_torch(machine.threads):
            measurement = throughput(recipe, scan(folder), machine, args.steps)
        if distributed.rank() > 0:
            return 0
    finally:
        distributed.stop()
    if args.out:
        write_atomically(args.out, json.dumps(measurement, indent=1) + "\n")
    print(f"{measurement['device']}, {measurement['processes']} process(es), batch {size}")
    for name, rate in measurement["images_per_second"].items():
        print(f"  {name.replace('_', ' '):26s}{rate:10,.1f} images/s")
    return 0
