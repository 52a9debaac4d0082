"""The linear probe on perturbed views of encoders whose checkpoints are kept: perturbed.csv.

    python -m reproductions.results.perturbed_probe CHECKPOINTS [--out FILE]

A run does not record it, as it takes a second fit. CHECKPOINTS is the folder of checkpoints of runs
of table 1; encoders without one are left out, and one takes half a minute of one thread. The fit
sees one perturbed view of each training image, the judgement is on four of each held-out one, the
same views as for perturbed kNN. Beside it stands the probe of whole images, equal to the record's.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pandas as pd
import torch

from eqco.artifacts.pretrained import trained_encoder
from eqco.artifacts.run_files import Run
from eqco.cli.errors import run_cli
from eqco.config import Machine
from eqco.data import open_images
from eqco.data.in_memory import InMemory
from eqco.evaluation.features import VIEWS, FeatureProbe
from eqco.evaluation.metrics import METRICS, percent
from eqco.recipe import Recipe
from eqco.runtime.files import check_apart, check_writable, write_atomically
from eqco.runtime.validation import path_argument
from reproductions.results.evidence import committed

TABLE, SCALE, SEEDS = 1, "glyphs", range(10)
FILE = Path(__file__).parents[1] / "perturbed.csv"
NAMES = ["scale", "row", "digest", "seed", "linear", "perturbed_linear"]


def accuracies(path: Path, recipe: Recipe, machine: Machine) -> tuple[float, float]:
    """Top-1 in percent of the linear probe of one encoder: whole images, perturbed views."""
    method, _, seed = trained_encoder(path, recipe)
    images = open_images(recipe, seed, machine)
    assert isinstance(images, InMemory)
    probe = FeatureProbe(method.encoder.backbone, images, recipe, seed, machine)

    def linear(views_of: int) -> float:
        train, test = (probe.features(part, views * views_of) for part, views in VIEWS)
        return percent(METRICS["linear"].correct(train, test, images.num_classes, recipe))

    return linear(0), linear(1)


def lines(machine: Machine) -> Iterator[tuple[str, str, str, int, float, float]]:
    """A line for each run of the table that has a checkpoint."""
    for row in committed(SCALE).tables[TABLE].rows:
        for seed in SEEDS:
            path = Run(row.recipe, seed, machine).checkpoint
            if path.exists():
                pair = accuracies(path, row.recipe, machine)
                yield SCALE, row.name, row.recipe.digest(), seed, *pair


@cache
def measured() -> pd.DataFrame:
    """The committed accuracies, one line an encoder; NAMES are its columns."""
    return pd.read_csv(FILE, dtype={"digest": str})


def main() -> None:
    """Write perturbed.csv."""
    parser = argparse.ArgumentParser(prog="python -m reproductions.results.perturbed_probe")
    parser.add_argument("checkpoints", type=path_argument)
    parser.add_argument("--out", type=path_argument, default=FILE, help="file to write")
    args = parser.parse_args()
    check_apart(args.out, [args.checkpoints])
    check_writable(args.out.parent)
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)
    frame = pd.DataFrame(lines(Machine(checkpoints=args.checkpoints, threads=1)), columns=NAMES)
    if frame.empty:
        parser.error(f"no checkpoint of table {TABLE} in {args.checkpoints}")
    text = frame.to_csv(index=False, float_format="%.4f", lineterminator="\n")
    write_atomically(args.out, text)


if __name__ == "__main__":
    sys.exit(run_cli(main))
