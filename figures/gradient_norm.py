"""Figure 2: the length of dL/dq against K, and its noise."""

from __future__ import annotations

import pandas as pd
import torch
import torch.nn.functional as F
from matplotlib.figure import Figure

from eqco.theory import gradient_noise_bound, gradient_norm_bound
from figures.encoders import IMAGES, measure
from figures.style import COLOURS, HERE, MARKERS, build, panels

TEMPERATURE = 0.2


def compute() -> pd.DataFrame:
    """Random unit embeddings of 128 dimensions, and an encoder at four points of training."""
    draw = torch.Generator().manual_seed(0)
    query, key = (F.normalize(torch.randn(IMAGES, 128, generator=draw), dim=1) for _ in range(2))
    sphere = measure(query, key, TEMPERATURE).assign(where="random on the sphere")
    trained = pd.read_csv(HERE / "encoders.csv")
    trained = trained.assign(where="glyphs, step " + trained["step"].astype(str))
    found = pd.concat([sphere, trained])
    found = found[(found["quantity"] != "loss") & found["alpha"].isin([256, *found["k"].unique()])]
    found = found[(found["loss"] == "InfoNCE") | (found["alpha"] == 256)]
    bounds = [
        gradient_norm_bound(line.rho, temperature=TEMPERATURE)
        if line.quantity == "norm"
        else gradient_noise_bound(line.rho, line.cv2, num_negatives=line.k, temperature=TEMPERATURE)
        for line in found.itertuples()
    ]
    names = ["where", "loss", "alpha", "k", "quantity", "value", "error", "rho", "cv2"]
    return found[names].assign(bound=bounds)


def draw(frame: pd.DataFrame) -> Figure:
    """Left: the mean is steady with EqCo. Right: its noise is not, it falls as 1 / sqrt(K)."""
    figure, axes = panels(2)
    places = list(frame["where"].unique())
    for axis, quantity in zip(axes, ("norm", "noise"), strict=True):
        part = frame[frame["quantity"] == quantity]
        for (name, where), line in part.groupby(["loss", "where"], sort=False):
            if quantity == "noise" and (name == "InfoNCE" or line.empty):
                continue
            fade = 0.35 + 0.65 * places.index(where) / (len(places) - 1)
            style = {"color": COLOURS[name], "alpha": fade, "marker": MARKERS[name]}
            line = line[line["value"] > 1e-9]
            label = f"{name}, {where}"
            if where == places[0]:
                style |= {"ls": "--", "alpha": 1.0, "mfc": "white"}
            axis.plot(line["k"], line["value"], label=label, **style)
        last = part[(part["loss"] == "EqCo") & (part["where"] == places[-1])]
        last = last[last["value"] > 1e-9]
        what = f"bound, EqCo, {places[-1]}"
        axis.plot(last["k"], last["bound"], color=COLOURS["bound"], ls=":", label=what)
        axis.set(xscale="log", yscale="log", xlabel="K")
    guide = last["value"].iloc[2] * (last["k"] / last["k"].iloc[2]) ** -0.5
    axes[1].plot(last["k"], guide, color="0.6", lw=0.8, label="slope of 1 / sqrt(K)")
    axes[0].set(ylabel="mean length of dL/dq", title="mean")
    axes[1].set(
        ylabel="mean distance from the gradient of all keys", title="noise (EqCo, alpha 256)"
    )
    for axis in axes:
        axis.legend(ncols=1, loc="lower right" if axis is axes[0] else "lower left")
    return figure


if __name__ == "__main__":
    build("gradient_norm", compute, draw)
