"""Loss gaps of trained encoders, predicted and measured: diagnoses.csv.

    python -m figures.diagnoses CHECKPOINTS [--folder SCALE=PATH ...]

CHECKPOINTS is the folder of checkpoints of the runs of table 1; a minute on 2 cores. Scales whose
images are a folder need its PATH. Encoders without a checkpoint are left out.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import pandas as pd

from eqco.checkpoint import checkpoint_path
from eqco.data import load
from eqco.diagnose import diagnose, embeddings_of
from eqco.negatives import others
from eqco.pretrain import trained_encoder
from eqco.recipe import SCALES, Machine
from figures.evidence import base_of
from figures.style import HERE
from reproductions import table1

COUNTS = (1, 2, 4, 8, 16, 32, 64, 128, 255, 512, 1024)


def compute(checkpoints: Path, folders: dict[str, Path]) -> pd.DataFrame:
    """Seed 0 of every row of table 1 that has a checkpoint, alpha = 256."""
    lines = []
    for scale in (name for name, each in SCALES.items() if each.evidence):
        for row, recipe in table1.rows(scale, base_of(scale)).items():
            path = checkpoint_path(recipe, 0, Machine(checkpoints=checkpoints))
            if not path.exists():
                continue
            method, _, seed = trained_encoder(path, recipe)
            data = load(recipe.data, recipe.data_part, folders.get(scale, Path("data")))
            query, key = embeddings_of(method, recipe, seed, data, 2048)
            similarity = (query @ key.T).double()
            found = diagnose(
                similarity.diagonal(),
                others(similarity),
                temperature=recipe.temperature,
                alpha=256.0,
                counts=COUNTS,
            )
            for gap in found.gaps:
                lines.append(
                    {
                        "scale": scale,
                        "encoder": row,
                        "cv2": found.squared_cv.value,
                        "rho": found.weight.value,
                        "enough": found.enough,
                        "k": gap.num_negatives,
                        "coarse": gap.coarse,
                        "sharp": gap.sharp,
                        "measured": gap.measured.value,
                        "error": gap.measured.error,
                    }
                )
    return pd.DataFrame(lines)


def main() -> None:
    """Write diagnoses.csv."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("checkpoints", type=Path)
    parser.add_argument("--folder", action="append", default=[], help="SCALE=PATH of its images")
    given = parser.parse_args()
    folders = {name: Path(path) for name, _, path in (each.partition("=") for each in given.folder)}
    found = compute(given.checkpoints, folders)
    if found.empty:
        parser.error(f"no checkpoint of table 1 in {given.checkpoints}")
    found.to_csv(HERE / "diagnoses.csv", index=False, float_format="%.6g", lineterminator="\n")


if __name__ == "__main__":
    main()
