"""What the encoder of a scale reaches with labels: the ceiling beside its tables, supervised.csv.

    python -m reproductions.experiments.supervised --scale glyphs [--data folder:PATH] [--seeds 3]

The same backbone, views, batches and epochs as SiMo's, one view of each image, cross-entropy of a
linear classifier on the backbone. The probes then judge its features as they judge the others. The
learning rate is the usual one of supervised ResNets, 0.1 for 256 images, and is not tuned.
"""

from __future__ import annotations

import argparse
import sys
from functools import cache
from pathlib import Path

import pandas as pd
import torch
import torch.nn.functional as F
from torch import nn

from eqco.artifacts.environment import source
from eqco.cli.errors import run_cli
from eqco.config import Machine
from eqco.data import open_images
from eqco.data.in_memory import InMemory
from eqco.engine.pretrain import learning_rate_at
from eqco.evaluation.features import FeatureProbe
from eqco.methods.encoder import build_encoder
from eqco.recipe import Recipe
from eqco.runtime.files import write_atomically
from eqco.runtime.validation import known_name, whole
from reproductions.experiments.resolve import choose_data
from reproductions.scales import SCALES

FILE = Path(__file__).parents[1] / "supervised.csv"
RATE = 0.1


def train_with_labels(recipe: Recipe, seed: int, images: InMemory) -> nn.Module:
    """The recipe's backbone, trained by cross-entropy on its query views."""
    encoder = build_encoder(recipe.backbone, recipe.embedding_dim, seed)
    backbone, width = encoder.backbone, encoder.backbone.num_features
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = nn.Sequential(backbone, nn.Linear(width, images.num_classes))  # type: ignore[arg-type]
    optimizer = torch.optim.SGD(
        network.parameters(), RATE, recipe.sgd_momentum, weight_decay=recipe.weight_decay
    )
    per_epoch = images.shuffle.per_epoch
    steps = per_epoch * recipe.epochs
    for step in range(steps):
        for group in optimizer.param_groups:
            group["lr"] = learning_rate_at(step, steps, recipe.warmup_epochs * per_epoch, RATE)
        labels = images.data.train_labels[images.shuffle.rows(step)[1]]
        loss = F.cross_entropy(network(images.views(step)[0]), labels)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    return backbone


def measure(scale: str, recipe: Recipe, seed: int, machine: Machine) -> dict[str, object]:
    """A line of the file: the metrics of one run, percent."""
    commit, _ = source()
    images = open_images(recipe, seed, machine)
    assert isinstance(images, InMemory)
    backbone = train_with_labels(recipe, seed, images)
    metrics = FeatureProbe(backbone, images, recipe, seed, machine).metrics()
    identity = {"scale": scale, "backbone": recipe.backbone, "epochs": recipe.epochs, "seed": seed}
    return {**identity, **metrics, "commit": commit}


@cache
def measured() -> pd.DataFrame:
    """The committed lines."""
    return pd.read_csv(FILE)


def main() -> None:
    """Measure what is missing and write the file after each run."""
    parser = argparse.ArgumentParser(prog="python -m reproductions.experiments.supervised")
    parser.add_argument("--scale", type=known_name("scale", SCALES), default="glyphs")
    parser.add_argument("--data", default="", help="folder:PATH, where the scale needs it")
    parser.add_argument("--seeds", type=whole(), default=3)
    args = parser.parse_args()
    recipe, folder = choose_data(args.data, Machine.data_dir, SCALES[args.scale])
    machine = Machine(threads=1, data_dir=folder)
    torch.set_num_threads(1)
    measurements = pd.read_csv(FILE) if FILE.exists() else pd.DataFrame({"scale": [], "seed": []})
    for seed in range(args.seeds):
        if ((measurements["scale"] == args.scale) & (measurements["seed"] == seed)).any():
            continue
        line = pd.DataFrame([measure(args.scale, recipe, seed, machine)])
        measurements = pd.concat([measurements, line]) if len(measurements) else line
        write_atomically(FILE, measurements.to_csv(index=False, lineterminator="\n"))
        print(line.to_string(index=False, header=False), flush=True)


if __name__ == "__main__":
    sys.exit(run_cli(main))
