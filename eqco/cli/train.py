"""`eqco train`: an encoder of anybody's images."""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Iterable
from dataclasses import fields
from pathlib import Path
from shlex import quote

from eqco.artifacts.checkpoint import Damaged, read
from eqco.artifacts.record import Record
from eqco.artifacts.run_files import Run
from eqco.cli.options import print_json
from eqco.cli.train_defaults import default_recipe
from eqco.config import Machine
from eqco.data.image_folder import scan_unlabelled
from eqco.engine.launchers import choose_device
from eqco.engine.progress import Live, Log, curve, duration
from eqco.engine.run import run
from eqco.recipe import Recipe
from eqco.runtime.cpu import granted_cores
from eqco.runtime.files import check_writable


def with_options(text: str, names: Iterable[str]) -> str:
    """A sentence about fields of a recipe as one about the options that set them."""
    for name in names:
        text = re.sub(rf"(?<![-\w]){name}(?= is|=)", f"--{name.replace('_', '-')}", text)
    return text


def recipe_of(options: argparse.Namespace) -> Recipe:
    """The recipe that the options ask for.

    Raises:
        ValueError: an option is wrong.
    """
    names = {field.name for field in fields(Recipe)} & vars(options).keys() - {"data", "image_size"}
    chosen = {name: getattr(options, name) for name in names}
    chosen["warmup_epochs"] = min(10.0, options.epochs / 10)
    try:
        return default_recipe(options.data, options.image_size, chosen)
    except ValueError as error:
        raise ValueError(with_options(str(error), names)) from error


def machine_of(options: argparse.Namespace, recipe: Recipe) -> Machine:
    """Where and how the run happens."""
    workers = min(16, granted_cores()) if options.workers is None else options.workers
    return Machine(
        device=choose_device(options.device),
        threads=options.threads,
        data_dir=options.data,
        checkpoints=options.checkpoints,
        workers=workers if recipe.from_files else 0,
        compile=options.compile,
    )


def progress_of(options: argparse.Namespace, batch_size: int) -> Log | None:
    """A line that changes on a terminal, lines where the output is piped, nothing for JSON."""
    if options.json:
        return None
    return Live(batch_size, 0.25) if sys.stdout.isatty() else Log(batch_size, 10.0)


def pictures(recipe: Recipe, data: Path) -> str:
    """How many images there are, and what is made of them."""
    if recipe.data == "glyphs":
        return "drawn glyphs of 24 × 24"
    count = f"{len(scan_unlabelled(data).train):,} images"
    if recipe.image_size:
        return f"{count}, crops of {recipe.image_size} × {recipe.image_size} read from the files"
    return f"{count}, made 32 × 32; --image-size 96 reads them larger"


def closing(job: Run, record: Record) -> str:
    """What was done, the files of the result, and commands that use them."""
    recipe, checkpoint = job.recipe, job.checkpoint
    lacks = lacking(checkpoint, record.steps)
    place = "" if recipe.data == "glyphs" else f" --data {quote(str(job.machine.data_dir))}"
    file = quote(str(checkpoint))
    linear = record.metrics.get("linear")
    losses = record.curve["loss"]
    labelled = " --data LABELLED  # CLASS/*, or train/CLASS/* and val/CLASS/*"
    lines = [
        f"{record.run_id}: {record.steps} steps of {recipe.batch_size} images, "
        f"{duration(record.seconds['train'])}, loss {losses[-1]:.3f}"
        + ("" if linear is None else f", linear probe {linear:.2f} %"),
        f"  loss        {curve(losses)} {losses[0]:.3f} to {losses[-1]:.3f}",
        f"  record      {job.record_file}",
        f"  checkpoint  {lacks or checkpoint}",
    ]
    following = [
        f"  next        eqco diagnose {file}{place}",
        f"              eqco probe {file}{place and labelled}",
        f"              eqco embed {file}{place} --picture near.png",
        f"              eqco export {file} backbone.pt",
    ]
    return "\n".join(lines if lacks else lines + following)


def lacking(checkpoint: Path, steps: int) -> str:
    """What is wrong with the checkpoint of a run that is done, as on a full disk; "" if nothing."""
    again = "--again trains anew"
    try:
        step = read(checkpoint, "step")["step"]
    except Damaged as error:
        return f"none: {error}; {again}"
    if step == steps:
        return ""
    return f"of step {step}, the last one could not be written: {checkpoint}; {again}"


def main(options: argparse.Namespace) -> None:
    """Train, or continue, and print where the result is."""
    recipe = recipe_of(options)
    job = Run(recipe, options.seed, machine_of(options, recipe), options.records)
    for folder in (options.records, options.checkpoints):
        check_writable(folder)
    known = None if options.again else job.record()
    if not options.json:
        passes = "1 epoch" if recipe.epochs == 1 else f"{recipe.epochs} epochs"
        alpha = "" if recipe.alpha is None else f", alpha {recipe.alpha:g}"
        print(pictures(recipe, options.data))
        print(
            f"{recipe.data}: {recipe.method} with {recipe.loss}, K {recipe.num_negatives}{alpha}, "
            f"{recipe.backbone}, batches of {recipe.batch_size}, {passes}, rate "
            f"{recipe.learning_rate:g}, {job.machine.device}",
            flush=True,
        )
        if known:
            print("already done: --again trains anew, --seed 1 with another seed")
    show = progress_of(options, recipe.batch_size)
    record = known or run(*job, show, again=options.again)
    assert record is not None  # one process
    print_json(record.body()) if options.json else print(closing(job, record))
