"""Does E[rho^2 CV^2] / (2K) of the full-K encoder predict the accuracy lost at K?"""

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from figures import style
from reproductions.experiments import missing
from reproductions.results.scaling_law import TABLE, law, report

NATS = "E[ρ² CV²] / (2K) of the full-K encoder, nats"
FITS = {"line": "proportional", "curve": "power law"}
LABELS = {
    "points": "accuracy at full K − at K, points",
    "error": "that − the proportional fit, points",
}


def compute() -> pd.DataFrame:
    """A cell for each scale, temperature and K of EqCo in table 9, with both fits."""
    return law()


def between(frame: pd.DataFrame) -> pd.DataFrame:
    """Both fits at many nats; they are straight where both axes are logarithmic."""
    cells = frame.sort_values("nats")
    nats = np.geomspace(cells["nats"].iloc[0], cells["nats"].iloc[-1], 100)
    fits = pd.DataFrame({"nats": nats})
    for name, title in FITS.items():
        heights = np.log(cells[name].abs())  # of one sign, that of the fitted slope
        fits[title] = np.exp(np.interp(np.log(nats), np.log(cells["nats"]), heights))
        fits[title] *= np.sign(cells[name].iloc[0])
    return fits.melt("nats", var_name="fit", value_name="height")


def draw(frame: pd.DataFrame) -> Figure:
    """Accuracy lost against the predicted loss gap, and distance from a proportional fit."""
    frame = frame.assign(t=frame["temperature"].map("t = {:g}".format))
    figure, axes = style.panels(["accuracy that EqCo loses", "distance from the proportional fit"])
    for axis, (y, label) in zip(axes, LABELS.items(), strict=True):
        for fitted, cells in frame.groupby("fitted"):
            put = style.dots if fitted else style.hollow
            put(axis, cells, "nats", y, "t", half="half", style="scale")
        axis.set(xscale="log", xlabel=NATS, ylabel=label)
    style.lines(axes[0], between(frame), "nats", "height", "fit")
    style.level(axes[1], 0.0)
    style.key(axes[0], sorted(frame["t"].unique()), ["not fitted", *frame["scale"].unique()])
    style.legend_below(figure, style.INTERVAL)
    return figure


if __name__ == "__main__":
    style.build(compute, draw, lambda: missing.table_not_run(TABLE, "glyphs"), report)
