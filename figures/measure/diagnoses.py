"""Loss gaps of trained encoders, predicted and measured: diagnoses.csv.

    python -m figures.measure.diagnoses CHECKPOINTS [--data SCALE=PATH ...] [--out FOLDER]

CHECKPOINTS is the folder of checkpoints of the runs of table 1; a minute on 2 cores. Scales whose
images are a folder need its PATH. Encoders without a checkpoint are left out.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import pandas as pd

from eqco.analysis.diagnosis import diagnose, embed
from eqco.artifacts.pretrained import trained_encoder
from eqco.artifacts.run_files import Run
from eqco.cli.errors import run_cli
from eqco.config import Machine
from eqco.data import open_images
from eqco.losses.sampling import off_diagonal
from eqco.recipe import Recipe
from eqco.runtime.validation import path_argument
from figures.style import OUT, write
from reproductions.results.evidence import committed, judged_scales

GAPS = ["cv2", "rho", "enough", "k", "coarse", "sharp", "measured", "error"]
NAMES = ["scale", "encoder", "digest", *GAPS]
COUNTS = (1, 2, 4, 8, 16, 32, 64, 128, 255, 512, 1024)


def loss_gaps(path: Path, recipe: Recipe, machine: Machine) -> list[tuple[float, ...]]:
    """A line for each K of one encoder, alpha = 256."""
    method, _, seed = trained_encoder(path, recipe)
    query, key = embed(method, open_images(recipe, seed, machine), 2048)
    similarity = (query @ key.T).double()
    diagnosis = diagnose(
        similarity.diagonal(),
        off_diagonal(similarity),
        temperature=recipe.temperature,
        alpha=256.0,
        counts=COUNTS,
    )
    encoder = (diagnosis.squared_cv.value, diagnosis.weight.value, diagnosis.leading)
    return [
        (*encoder, gap.num_negatives, gap.coarse, gap.sharp, gap.measured.value, gap.measured.error)
        for gap in diagnosis.gaps
    ]


def compute(checkpoints: Path, folders: dict[str, Path]) -> pd.DataFrame:
    """Seed 0 of every row of table 1 that has a checkpoint."""
    lines = []
    for scale in judged_scales():
        machine = Machine(data_dir=folders.get(scale, Path("data")), checkpoints=checkpoints)
        for row in committed(scale).tables[1].rows:
            path = Run(row.recipe, 0, machine).checkpoint
            if path.exists():
                run = (scale, row.name, row.recipe.digest())
                lines += [(*run, *gap) for gap in loss_gaps(path, row.recipe, machine)]
    return pd.DataFrame(lines, columns=NAMES)


def main() -> None:
    """Write diagnoses.csv."""
    parser = argparse.ArgumentParser(prog="python -m figures.measure.diagnoses")
    parser.add_argument("checkpoints", type=path_argument)
    parser.add_argument("--data", action="append", default=[], help="SCALE=PATH of its images")
    parser.add_argument("--out", type=path_argument, default=OUT, help="folder to write to")
    args = parser.parse_args()
    folders = {
        name: path_argument(path) for name, _, path in (pair.partition("=") for pair in args.data)
    }
    gaps = compute(args.checkpoints, folders)
    if gaps.empty:
        parser.error(f"no checkpoint of table 1 in {args.checkpoints}")
    write(gaps, args.out / "diagnoses.csv")


if __name__ == "__main__":
    sys.exit(run_cli(main))
