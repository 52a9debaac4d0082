"""The paper's mutual-information estimate against K, and what is certified."""

import pandas as pd
from matplotlib.figure import Figure
from numpy import log1p

from figures import style
from figures.measure.gaussians import estimates


def compute() -> pd.DataFrame:
    """Estimates in nats on Gaussians of known I, and on a trained encoder, where I is unknown."""
    known = pd.read_csv(style.OUT / "gaussians.csv")
    known.insert(0, "bed", "Gaussians, I = " + known["information"].map("{:.2f} nats".format))
    found = pd.read_csv(style.OUT / "encoders.csv")
    found = found.query("quantity == 'loss' and step == step.max()")
    at = zip(found["value"], found["alpha"], found["k"], strict=True)
    found[["value", "certified"]] = [list(estimates(*each).values()) for each in at]
    found = pd.concat([known, found.assign(bed="a trained encoder (glyphs)")])[known.columns]
    over = found["value"] > found["information"] + 3 * found["error"]
    return found.assign(above_information=over)


def draw(frame: pd.DataFrame) -> Figure:
    """The estimate, hollow where it exceeds I by three errors, and so is not a bound."""
    frame = frame.rename(columns={"k": "K", "value": "nats", "above_information": "hollow"})
    alpha = frame["alpha"].map(", alpha {:.0f}".format).where(frame["loss"] == "EqCo", "")
    frame["series"] = frame["loss"] + alpha
    at = frame[frame["series"] == "EqCo, alpha 256"].assign(hollow=False)
    proven = at["certified"].where(at["alpha"] <= at["K"], at[["certified", "nwj"]].max(axis=1))
    known = {"ceiling log(K + 1)": log1p(at["K"]), "certified at alpha 256": proven}
    known["true I"] = at["information"]
    rows = pd.concat([at.assign(series=s, nats=y) for s, y in known.items()], ignore_index=True)
    figure, axes = style.panels(frame["bed"].unique())
    for axis, (bed, part) in zip(axes, frame.groupby("bed", sort=False), strict=True):
        style.curves(axis, part, "K", "nats", "series")
        style.lines(axis, rows[rows["bed"] == bed], "K", "nats", "series", zorder=3)
        axis.set(xscale="log", ylabel="estimate of I, nats", ylim=(-0.3, 1.1 * part["nats"].max()))
    style.legend_below(figure, "hollow marker: above I, not a bound")
    return figure


if __name__ == "__main__":
    style.build(compute, draw)
