"""Losses and bounds where the mutual information is known: gaussians.csv.

    python -m figures.gaussians         Monte Carlo, 2 minutes on 2 cores

One row for each I, loss and K; in nats, the true ratio as critic. `value` is the paper's estimate,
log(1 + alpha) - L, `certified` log(1 + min(alpha, K)) - L, `nwj` the corrected bound, all with
`error`, the standard error of the loss, or of their own (`nwj_error`).
"""

from __future__ import annotations

import math

import pandas as pd
import torch

from eqco.diagnose import loss_of_each
from eqco.testbeds import Gaussians
from eqco.theory import certified_bound, mean_of, nwj_bound, paper_estimate
from figures.style import HERE

CORRELATIONS = (0.9, 0.99, 0.999)
COUNTS = (1, 4, 16, 64, 256, 1024, 4096, 16384, 65536)
ALPHAS = (16, 256, 65536)
SAMPLES, CHUNK = 2000, 100


def compute(samples: int = SAMPLES, counts: tuple[int, ...] = COUNTS) -> pd.DataFrame:
    """All beds; the K of a bed share their draws."""
    return pd.concat([of_bed(Gaussians(c), samples, counts) for c in CORRELATIONS])


def of_bed(bed: Gaussians, samples: int, counts: tuple[int, ...]) -> pd.DataFrame:
    """InfoNCE and EqCo at each alpha and K, in chunks that fit into memory."""
    draw = torch.Generator().manual_seed(1)
    losses: dict[tuple[int, float], list[torch.Tensor]] = {}
    bounds: dict[tuple[int, float], list[float]] = {}
    for _ in range(samples // CHUNK):
        positive, negatives, other = bed.draw(CHUNK, max(counts), draw)
        for k in counts:
            some = negatives[:, :k]
            for alpha in dict.fromkeys([float(k), *map(float, ALPHAS)]):
                nwj = nwj_bound(positive, some, other, temperature=1.0, alpha=alpha)
                bounds.setdefault((k, alpha), []).append(nwj.value)
                loss = loss_of_each(positive, some, temperature=1.0, alpha=alpha)
                losses.setdefault((k, alpha), []).append(loss)
    lines = []
    for (k, alpha), parts in losses.items():
        loss, nwj = mean_of(torch.cat(parts)), pd.Series(bounds[k, alpha])
        for name in (["InfoNCE"] if alpha == k else []) + (["EqCo"] if alpha in ALPHAS else []):
            lines.append(
                {
                    "information": bed.information,
                    "loss": name,
                    "alpha": alpha,
                    "k": k,
                    "value": paper_estimate(loss.value, alpha=alpha),
                    "error": loss.error,
                    "certified": certified_bound(loss.value, alpha=alpha, num_negatives=k),
                    "nwj": nwj.mean(),
                    "nwj_error": nwj.std() / math.sqrt(len(nwj)),
                }
            )
    return pd.DataFrame(lines)


if __name__ == "__main__":
    compute().to_csv(HERE / "gaussians.csv", index=False, float_format="%.6g", lineterminator="\n")
