"""Losses and gradients on the embeddings of an encoder while it is trained: encoders.csv.

    python -m figures.encoders          trains one glyphs run and measures it: 2 minutes on 2 cores

Other figures draw from the file. One row for each point of training, loss, K and quantity: `loss`
(nats), `norm` of dL/dq, and `noise`, its distance from the gradient of all negatives; means over
queries with standard errors.
"""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import torch
from torch import Tensor

from eqco.data import load
from eqco.diagnose import embeddings_of, loss_of_each
from eqco.negatives import draw_independent, others
from eqco.pretrain import Run
from eqco.recipe import SCALES, Machine
from eqco.theory import mean_of, negative_weight, squared_cv
from figures.style import HERE

COUNTS = (1, 4, 16, 64, 256, 1024)
ALPHAS = (16, 256, 65536)
POINTS = (0.0, 0.1, 0.3, 1.0)  # of training
IMAGES = 2048


def gradients(
    query: Tensor, key: Tensor, columns: Tensor, temperature: float, alpha: float
) -> Tensor:
    """dL/dq of each query (N, D): (1 / t) sum_i pi_i (k_i - k_0), negatives in `columns` (N, K)."""
    similarity = query @ key.T / temperature
    gap = (alpha / columns.shape[1]) * (similarity.gather(1, columns)).exp()  # (N, K)
    share = gap / (similarity.diagonal().exp() + gap.sum(dim=1))[:, None]  # pi_i
    weights = torch.zeros_like(similarity).scatter_(1, columns, share)
    return (weights @ key - weights.sum(dim=1, keepdim=True) * key) / temperature


def columns_of(count: int, num_negatives: int, seed: int = 0) -> Tensor:
    """K of the other images for each of `count` queries, shape (N, K)."""
    drawn = draw_independent(count, count - 1, num_negatives, torch.Generator().manual_seed(seed))
    return (torch.arange(count)[:, None] + 1 + drawn) % count


def measure(query: Tensor, key: Tensor, temperature: float) -> pd.DataFrame:
    """All quantities of one encoder's embeddings (N, D)."""
    query, key = query.double(), key.double()
    similarity = query @ key.T
    positive, negatives = similarity.diagonal(), others(similarity)
    count, everything = len(query), columns_of(len(query), len(query) - 1)
    lines = []
    spread = squared_cv(negatives, temperature=temperature).mean().item()
    for k in [*COUNTS, count - 1]:
        columns = columns_of(count, k)
        for name, alpha in [("InfoNCE", float(k)), *(("EqCo", float(a)) for a in ALPHAS)]:
            weight = negative_weight(
                positive, negatives, temperature=temperature, effective_negatives=alpha
            )
            loss = loss_of_each(
                positive, similarity.gather(1, columns), temperature=temperature, alpha=alpha
            )
            found = gradients(query, key, columns, temperature, alpha)
            limit = gradients(query, key, everything, temperature, alpha)
            for quantity, each in (
                ("loss", loss),
                ("norm", found.norm(dim=1)),
                ("noise", (found - limit).norm(dim=1)),
            ):
                mean = mean_of(each)
                lines.append(
                    (name, alpha, k, quantity, mean.value, mean.error, weight.mean().item())
                )
    names = ["loss", "alpha", "k", "quantity", "value", "error", "rho"]
    return pd.DataFrame(lines, columns=names).assign(cv2=spread, images=count)


def compute() -> pd.DataFrame:
    """Train full-K InfoNCE at scale glyphs, seed 0, and measure it at each point."""
    recipe = SCALES["glyphs"].base
    data = load(recipe.data, recipe.data_part, Path("data"))
    run = Run(recipe, 0, data, Machine(threads=1))
    frames = []
    for point in POINTS:
        while run.step < round(point * run.steps):
            run.advance()
        query, key = embeddings_of(run.method, recipe, 0, data, IMAGES)
        run.method.train()
        found = measure(query.detach(), key, recipe.temperature)
        frames.append(found.assign(step=run.step))
        print(f"step {run.step}: CV^2 {found['cv2'].iloc[0]:.2f}")
    return pd.concat(frames)


def main() -> None:
    """Write encoders.csv."""
    torch.set_flush_denormal(True)
    compute().to_csv(HERE / "encoders.csv", index=False, float_format="%.6g", lineterminator="\n")


if __name__ == "__main__":
    main()
