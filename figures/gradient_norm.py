"""Figure 2: the length of dL/dq against K, and its noise."""

from __future__ import annotations

import pandas as pd
import torch
import torch.nn.functional as F
from matplotlib.figure import Figure

from eqco.theory import gradient_noise_bound, gradient_norm_bound
from figures.encoders import IMAGES, measure
from figures.style import COLOURS, HERE, MARKERS, build, legend_below, panels

TEMPERATURE = 0.2
NAMES = ["where", "loss", "alpha", "k", "quantity", "value", "error", "rho", "cv2"]


def compute() -> pd.DataFrame:
    """Random unit embeddings of 128 dimensions, and an encoder at four points of training."""
    generator = torch.Generator().manual_seed(0)
    query, key = (F.normalize(torch.randn(IMAGES, 128, generator=generator), dim=1) for _ in "qk")
    sphere = measure(query, key, TEMPERATURE).assign(where="random unit vectors")
    trained = pd.read_csv(HERE / "encoders.csv")
    trained = trained.assign(where="glyphs, step " + trained["step"].astype(str))
    found = pd.concat([sphere, trained])
    found = found[(found["quantity"] != "loss") & (found["value"] > 1e-9)]
    found = found[(found["loss"] == "InfoNCE") | (found["alpha"] == 256)]
    bounds = [
        gradient_norm_bound(line.rho, temperature=TEMPERATURE)
        if line.quantity == "norm"
        else gradient_noise_bound(line.rho, line.cv2, num_negatives=line.k, temperature=TEMPERATURE)
        for line in found.itertuples()
    ]
    return found[NAMES].assign(bound=bounds)


def draw(frame: pd.DataFrame) -> Figure:
    """Left: the mean is steady with EqCo. Right: EqCo's noise falls as 1 / sqrt(K)."""
    figure, axes = panels(2)
    places = list(frame["where"].unique())
    for axis, quantity in zip(axes, ("norm", "noise"), strict=True):
        part = frame[frame["quantity"] == quantity]
        for (name, where), line in part.groupby(["loss", "where"], sort=False):
            first, later = where == places[0], places.index(where) / (len(places) - 1)
            axis.plot(
                *(line["k"], line["value"]),
                color=COLOURS[name],
                marker=MARKERS[name],
                ls="--" if first else "-",
                mfc="white" if first else None,
                alpha=1.0 if first else 0.25 + 0.75 * later,
                label=f"{name}, {where}",
            )
        last = part[(part["loss"] == "EqCo") & (part["where"] == places[-1])]
        what = f"bound for EqCo, {places[-1]}"
        axis.plot(last["k"], last["bound"], color=COLOURS["bound"], ls=":", label=what)
        axis.set(xscale="log", yscale="log", xlabel="K")
    guide = last["value"].iloc[0] * (last["k"] / last["k"].iloc[0]) ** -0.5
    axes[1].plot(last["k"], guide, color="0.6", lw=0.8, label="slope of 1 / sqrt(K)")
    axes[0].set(ylabel="mean length of dL/dq", title="mean (EqCo: alpha 256)")
    axes[1].set(ylabel="mean distance from all keys' gradient", title="noise")
    legend_below(figure, axes[1], None)
    return figure


if __name__ == "__main__":
    build("gradient_norm", compute, draw)
