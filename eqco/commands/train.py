"""`eqco train`: an encoder of anybody's images."""

from __future__ import annotations

import argparse
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from eqco.checks import Number, argument
from eqco.commands.options import (
    CHECKPOINTS,
    RECORDS,
    Commands,
    add_json,
    choose_device,
    command,
    path,
    print_json,
)
from eqco.cores import default_threads, granted_cores

if TYPE_CHECKING:
    from eqco.recipe import Recipe
    from eqco.runs.progress import Log
    from eqco.runs.record import Record
    from eqco.settings import Machine

# Options that are fields of a recipe, with what their defaults follow.
FIELDS = {
    "method": "simo, moco, simclr or synco (default: simo)",
    "loss": "eqco, infonce, dcl or another of eqco.contrast (default: eqco)",
    "backbone": "small-rgb, resnet18, resnet50 or another (default: small-rgb at 32 pixels, else "
    "resnet18)",
    "precision": "float32 or bfloat16 (default: float32)",
}
NUMBERS = {
    "batch-size": (Number(2, 2**31, whole=True), "images a step (default: 256, fewer for a small "
                   "set: four steps an epoch)"),
    "epochs": (Number(1, 10**6, whole=True), "passes over the images (default: 100)"),
    "learning-rate": (Number(0, 1e6, open_low=True), "peak rate of SGD (default: 0.16, from files "
                      "0.03, times batch / 256)"),
    "num-negatives": (Number(1, 2**31, whole=True), "K of each query (default: 16 with alpha, else "
                      "all there are)"),
    "alpha": (Number(1e-6, 1e12), "EqCo's effective number of negatives (default: 256)"),
    "temperature": (Number(1e-4, 1e6), "of the softmax (default: 0.2)"),
    "queue-size": (Number(1, 2**31, whole=True), "keys of moco's and synco's queue (default: 4096, "
                   "at most half of the images)"),
}  # fmt: skip
EPOCHS = 100


def add(commands: Commands) -> None:
    """Declare the command."""
    text = "train an encoder on your images; the same command continues a stopped run"
    example = (
        "eqco train --data PATH\n  eqco train --data PATH --image-size 224 --backbone resnet50"
    )
    made = command(commands, "train", text, example, train)
    made.add_argument(
        "--data", type=path, required=True, help="folder of images, with or without subfolders; "
        "train/ alone where it has one; glyphs for a drawn set",
    )  # fmt: skip
    for name, words in FIELDS.items():
        made.add_argument(f"--{name}", help=words)
    for name, (number, words) in NUMBERS.items():
        made.add_argument(f"--{name}", type=argument(number), help=words)
    made.add_argument(
        "--image-size", type=argument(Number(8, 2**14, whole=True)), default=32,
        help="side of the views; 32 holds all images in memory, others read files all the time",
    )  # fmt: skip
    made.add_argument("--seed", type=argument(Number(0, whole=True)), default=0, help="of the run")
    made.add_argument("--records", type=path, default=RECORDS, help="folder of the record")
    made.add_argument("--checkpoints", type=path, default=CHECKPOINTS, help="folder of checkpoints")
    made.add_argument(
        "--device", default="auto", help="torch device; auto is a GPU if there is one"
    )
    count = argument(Number(1, 1024, whole=True))
    made.add_argument("--threads", type=count, default=default_threads(), help="of torch")
    made.add_argument(
        "--workers", type=argument(Number(0, 1024, whole=True)),
        help="processes that decode images (default: the granted cores; 0 at 32 pixels)",
    )  # fmt: skip
    made.add_argument("--compile", action="store_true", help="run encoders by torch.compile")
    made.add_argument("--again", action="store_true", help="start anew where it was done before")
    add_json(made)


def with_options(text: str) -> str:
    """A sentence about fields of a recipe as one about the options that set them."""
    for name in NUMBERS:
        text = re.sub(rf"(?<![-\w]){name.replace('-', '_')}(?= is|=)", f"--{name}", text)
    return text


def recipe_of(given: argparse.Namespace) -> Recipe:
    """The recipe that the options ask for.

    Raises:
        ValueError: an option is wrong.
    """
    from eqco.own import own_recipe

    names = [name.replace("-", "_") for name in (*FIELDS, *NUMBERS)]
    fields = {name: getattr(given, name) for name in names}
    fields["epochs"] = fields["epochs"] or EPOCHS
    fields["warmup_epochs"] = min(10.0, fields["epochs"] / 10)
    try:
        return own_recipe(given.data, given.image_size, fields)
    except ValueError as error:
        raise ValueError(with_options(str(error))) from error


def machine_of(given: argparse.Namespace, recipe: Recipe) -> Machine:
    """Where and how the run happens."""
    from eqco.settings import Machine

    workers = min(16, granted_cores()) if given.workers is None else given.workers
    return Machine(
        device=choose_device(given.device),
        threads=given.threads,
        data_dir=given.data,
        checkpoints=given.checkpoints,
        workers=workers if recipe.from_files else 0,
        compile=given.compile,
    )


def progress_of(given: argparse.Namespace, batch_size: int) -> Log | None:
    """A line that changes on a terminal, lines where the output is piped, nothing for JSON."""
    from eqco.runs.progress import Live, Log

    if given.json:
        return None
    return Live(batch_size) if sys.stdout.isatty() else Log(batch_size, seconds=10.0)


def closing(given: argparse.Namespace, record: Record, folder: Path) -> str:
    """What was done, where it lies, and what may come next."""
    from eqco.runs.progress import duration

    recipe = record.recipe
    checkpoint = given.checkpoints / f"{record.run_id}.pt"
    place = "" if recipe.data == "glyphs" else f" --data {given.data}"
    linear = record.metrics.get("linear")
    lines = [
        f"{record.run_id}: {record.steps} steps of {recipe.batch_size} images, "
        f"{duration(record.seconds['train'])}, loss {record.curve['loss'][-1]:.3f}"
        + ("" if linear is None else f", linear probe {linear:.2f} %"),
        f"  record      {folder / record.run_id}.json",
        f"  checkpoint  {checkpoint}",
        f"  next        eqco diagnose {checkpoint}{place}",
        f"              eqco probe {checkpoint} --data LABELLED",
        f"              eqco export {checkpoint} backbone.pt",
    ]
    return "\n".join(lines)


def train(given: argparse.Namespace) -> None:
    """Train, or continue, and say where the result lies."""
    from eqco.runs.files import check_writable
    from eqco.runs.record import Record
    from eqco.runs.run import run

    recipe = recipe_of(given)
    machine = machine_of(given, recipe)
    for folder in (given.records, given.checkpoints):
        check_writable(folder)
    known = None if given.again else Record.find(given.records, recipe, given.seed)
    if not given.json:
        alpha = "" if recipe.alpha is None else f", alpha {recipe.alpha:g}"
        print(
            f"{recipe.data}: {recipe.method} with {recipe.loss}, K {recipe.num_negatives}{alpha}, "
            f"{recipe.backbone}, batches of {recipe.batch_size}, {recipe.epochs} epochs, rate "
            f"{recipe.learning_rate:g}, {machine.device}",
            flush=True,
        )
        if known:
            print("it was done before: --again trains anew, --seed 1 another time")
    show = progress_of(given, recipe.batch_size)
    record = known or run(recipe, given.seed, machine, given.records, show, again=given.again)
    assert record is not None  # one process
    print_json(record.body()) if given.json else print(closing(given, record, given.records))
