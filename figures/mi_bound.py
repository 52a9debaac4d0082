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
    frame = pd.read_csv(style.OUT / "encoders.csv")
    frame = frame.query("quantity == 'loss' and step == step.max()")
    settings = zip(frame["value"], frame["alpha"], frame["k"], strict=True)
    frame[["value", "certified"]] = [list(estimates(*setting).values()) for setting in settings]
    frame = pd.concat([known, frame.assign(bed="a trained encoder (glyphs)")])[known.columns]
    above = frame["value"] > frame["information"] + 3 * frame["error"]
    return frame.assign(above_information=above)


def draw(frame: pd.DataFrame) -> Figure:
    """The estimate, hollow where it exceeds I by three errors, and so is not a bound."""
    frame = frame.rename(columns={"k": "K", "value": "nats", "above_information": "hollow"})
    alpha = frame["alpha"].map(", alpha {:.0f}".format).where(frame["loss"] == "EqCo", "")
    frame["series"] = frame["loss"] + alpha
    eqco = frame[frame["series"] == "EqCo, alpha 256"].assign(hollow=False)
    best = eqco[["certified", "nwj"]].max(axis=1)
    references = {
        "ceiling log(K + 1)": log1p(eqco["K"]),
        "certified at alpha 256": eqco["certified"].where(eqco["alpha"] <= eqco["K"], best),
        "true I": eqco["information"],
    }
    parts = [eqco.assign(series=name, nats=nats) for name, nats in references.items()]
    rows = pd.concat(parts, ignore_index=True)
    figure, axes = style.panels(frame["bed"].unique())
    for axis, (bed, part) in zip(axes, frame.groupby("bed", sort=False), strict=True):
        style.curves(axis, part, "K", "nats", "series")
        style.lines(axis, rows[rows["bed"] == bed], "K", "nats", "series", zorder=3)
        axis.set(xscale="log", ylabel="estimate of I, nats", ylim=(-0.3, 1.1 * part["nats"].max()))
    style.legend_below(figure, "hollow marker: above I, not a bound")
    return figure


if __name__ == "__main__":
    style.build(compute, draw)
