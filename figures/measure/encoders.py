"""Losses and gradients on the embeddings of an encoder while it is trained: encoders.csv.

    python -m figures.measure.encoders      trains one glyphs run and measures it: 2 minutes

Figures draw from the file. One row for each point of training, loss, K and quantity: `loss`
(nats), `norm` of dL/dq, and `noise`, its distance from the gradient of all negatives; means over
queries with standard errors.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

import pandas as pd
import torch
import torch.nn.functional as F
from torch import Tensor

from eqco.analysis.diagnosis import embed
from eqco.analysis.mutual_information import estimate
from eqco.analysis.theory import (
    gradient_noise_bound,
    gradient_norm_bound,
    negative_weight,
    squared_cv,
)
from eqco.artifacts.run_files import Run
from eqco.cli.errors import run_cli
from eqco.config import Machine
from eqco.data import open_images
from eqco.engine.pretrain import Pretraining
from eqco.losses.functional import eqco_info_nce
from eqco.losses.sampling import draw_independent, off_diagonal
from figures.style import OUT, write
from reproductions.scales import SCALES

COUNTS = (1, 4, 16, 64, 256, 1024)
ALPHAS = (16, 256, 65536)
POINTS = (0.0, 0.1, 0.3, 1.0)  # of training
IMAGES = 2048


def losses_and_gradients(
    query: Tensor, key: Tensor, columns: Tensor, temperature: float, alpha: float
) -> tuple[Tensor, Tensor]:
    """Loss (N,) and dL/dq (N, D) of each query; `columns` (N, K) are the rows of its negatives."""
    query = query.detach().requires_grad_()
    similarity = query @ key.T
    loss = eqco_info_nce(
        similarity.diagonal(),
        similarity.gather(1, columns),
        temperature=temperature,
        alpha=alpha,
        reduction="none",
    )
    (gradient,) = torch.autograd.grad(loss.sum(), query)
    return loss.detach(), gradient


def random_embeddings() -> tuple[Tensor, Tensor]:
    """Random queries and keys of length 1, shape (N, D) each."""
    draw = torch.Generator().manual_seed(0)
    query, key = (torch.randn(IMAGES, 128, generator=draw) for _ in "qk")
    return F.normalize(query, dim=1), F.normalize(key, dim=1)


def draw_columns(count: int, num_negatives: int) -> Tensor:
    """K of the other images for each of `count` queries, shape (N, K)."""
    drawn = draw_independent(count, count - 1, num_negatives, torch.Generator().manual_seed(0))
    return (torch.arange(count)[:, None] + 1 + drawn) % count


def measure(query: Tensor, key: Tensor, temperature: float) -> pd.DataFrame:
    """All quantities of one encoder's embeddings (N, D)."""
    query, key = query.double(), key.double()
    similarity = query @ key.T
    positive, negatives = similarity.diagonal(), off_diagonal(similarity)
    count, all_columns = len(query), draw_columns(len(query), len(query) - 1)
    counts, lines = [*COUNTS, count - 1], []
    limits = {
        float(alpha): losses_and_gradients(query, key, all_columns, temperature, alpha)[1]
        for alpha in {*counts, *ALPHAS}
    }
    for k in counts:
        columns = draw_columns(count, k)
        for name, alpha in [("InfoNCE", float(k)), *(("EqCo", float(a)) for a in ALPHAS)]:
            weight = negative_weight(
                positive, negatives, temperature=temperature, effective_negatives=alpha
            )
            loss, gradients = losses_and_gradients(query, key, columns, temperature, alpha)
            quantities = {
                "loss": loss,
                "norm": gradients.norm(dim=1),
                "noise": (gradients - limits[alpha]).norm(dim=1),
            }
            for quantity, values in quantities.items():
                mean, mean_weight = estimate(values), weight.mean().item()
                lines.append((name, alpha, k, quantity, mean.value, mean.error, mean_weight))
    names = ["loss", "alpha", "k", "quantity", "value", "error", "rho"]
    spread = squared_cv(negatives, temperature=temperature).mean().item()
    return pd.DataFrame(lines, columns=names).assign(cv2=spread, images=count)


def bound(line: pd.Series, temperature: float) -> float:
    """The bound on a `norm` or a `noise`, a line of `measure`."""
    rho, cv2, k = line["rho"], line["cv2"], line["k"]
    if line["quantity"] == "norm":
        return gradient_norm_bound(rho, temperature=temperature)
    return gradient_noise_bound(rho, cv2, num_negatives=k, temperature=temperature)


def compute(points: Sequence[float] = POINTS) -> pd.DataFrame:
    """Train full-K InfoNCE at scale glyphs, seed 0, and measure it at each point."""
    recipe, machine = SCALES["glyphs"].base, Machine(threads=1)
    images = open_images(recipe, 0, machine)
    training, frames = Pretraining(Run(recipe, 0, machine), images), []
    for point in points:
        while training.step < round(point * training.steps):
            training.advance()
        query, key = embed(training.method, images, IMAGES)
        training.method.train()
        frames.append(measure(query, key, recipe.temperature).assign(step=training.step))
    return pd.concat(frames)


def main() -> None:
    """Write encoders.csv."""
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)
    write(compute(), OUT / "encoders.csv")


if __name__ == "__main__":
    sys.exit(run_cli(main))
