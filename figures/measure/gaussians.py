"""Losses and bounds where the mutual information is known: gaussians.csv.

    python -m figures.measure.gaussians         Monte Carlo, 2 minutes on 2 cores

One row for each I, loss and K; in nats, the true ratio as critic. `value` is the paper's estimate,
log(1 + alpha) - L, `certified` log(1 + min(alpha, K)) - L, `nwj` the corrected bound, all with
`error`, the standard error of the loss, or of their own (`nwj_error`).
"""

from __future__ import annotations

import sys
from collections import defaultdict

import pandas as pd
import torch

from eqco.analysis.mutual_information import (
    Gaussians,
    certified_bound,
    estimate,
    nwj_bound,
    paper_estimate,
)
from eqco.cli.errors import run_cli
from eqco.losses.functional import eqco_info_nce
from figures.style import OUT, write

CORRELATIONS = (0.9, 0.99, 0.999)
COUNTS = (1, 4, 16, 64, 256, 1024, 4096, 16384, 65536)
ALPHAS = (16, 256, 65536)
NAMES = ["information", "loss", "alpha", "k", "value", "error", "certified", "nwj", "nwj_error"]
SAMPLES, CHUNK = 2000, 100


def compute(samples: int = SAMPLES, counts: tuple[int, ...] = COUNTS) -> pd.DataFrame:
    """All beds; the K of a bed share their draws."""
    return pd.concat([estimate_bed(Gaussians(c), samples, counts) for c in CORRELATIONS])


def estimates(loss: float, alpha: float, k: int) -> dict[str, float]:
    """The paper's estimate and what is certified."""
    proven = certified_bound(loss, alpha=alpha, num_negatives=k)
    return {"value": paper_estimate(loss, alpha=alpha), "certified": proven}


def estimate_bed(bed: Gaussians, samples: int, counts: tuple[int, ...]) -> pd.DataFrame:
    """InfoNCE and EqCo at each alpha and K, in chunks that fit into memory."""
    draw = torch.Generator().manual_seed(1)
    losses: dict[tuple[int, float], list[torch.Tensor]] = defaultdict(list)
    bounds: dict[tuple[int, float], list[float]] = defaultdict(list)
    for _ in range(samples // CHUNK):
        positive, negatives, other = bed.draw(CHUNK, max(counts), draw)
        for k in counts:
            first_k = negatives[:, :k]
            for alpha in {float(k), *map(float, ALPHAS)}:
                options = {"temperature": 1.0, "alpha": alpha}
                bounds[k, alpha].append(nwj_bound(positive, first_k, other, **options).value)
                loss = eqco_info_nce(positive, first_k, reduction="none", **options)
                losses[k, alpha].append(loss)
    lines = []
    for k in counts:
        for name, alpha in [("InfoNCE", float(k)), *(("EqCo", float(a)) for a in ALPHAS)]:
            mean_loss = estimate(torch.cat(losses[k, alpha]))
            nwj = estimate(torch.tensor(bounds[k, alpha], dtype=torch.float64))
            values = estimates(mean_loss.value, alpha, k)
            lines.append(
                {"information": bed.information, "loss": name, "alpha": alpha, "k": k, **values}
                | {"error": mean_loss.error, "nwj": nwj.value, "nwj_error": nwj.error}
            )
    return pd.DataFrame(lines, columns=NAMES)


if __name__ == "__main__":
    sys.exit(run_cli(lambda: write(compute(), OUT / "gaussians.csv")))
