"""Figure 1: the paper's mutual-information estimate against K, and what is certified."""

from __future__ import annotations

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy import log1p

from figures.style import COLOURS, DASHES, HERE, MARKERS, build, legend_below, panels


def compute() -> pd.DataFrame:
    """Estimates in nats on Gaussians of known I, and on a trained encoder, where I is unknown."""
    known = pd.read_csv(HERE / "gaussians.csv")
    known = known.assign(bed="Gaussians, I = " + known["information"].map("{:.2f} nats".format))
    found = pd.read_csv(HERE / "encoders.csv").query("quantity == 'loss' and step == step.max()")
    proven = log1p(found[["alpha", "k"]].min(axis=1)) - found["value"]
    value = log1p(found["alpha"]) - found["value"]
    found = found.assign(bed="a trained encoder (glyphs)", value=value, certified=proven)
    frame = pd.concat([known, found])[["bed", *known.columns.drop("bed")]]
    over = frame["value"] > frame["information"] + 3 * frame["error"]
    return frame.assign(above_information=over)


def draw_bed(axis: Axes, part: pd.DataFrame) -> None:
    """Estimates against K with the truth, the ceiling, and what is certified at alpha = 256."""
    for (name, alpha), line in part.groupby(
        ["loss", part["alpha"].where(part["loss"] == "EqCo", 0)]
    ):
        label, dash = (f"EqCo, alpha {alpha:g}", DASHES[alpha]) if alpha else ("InfoNCE", "solid")
        axis.plot(line["k"], line["value"], color=COLOURS[name], ls=dash, label=label)
        for over, dots in line.groupby("above_information"):
            face = "white" if over else COLOURS[name]
            axis.plot(dots["k"], dots["value"], MARKERS[name], color=COLOURS[name], mfc=face)
    counts = part["k"].drop_duplicates().sort_values()
    axis.plot(counts, log1p(counts), color="0.6", lw=0.8, label="ceiling log(K + 1)")
    proven = part[(part["loss"] == "EqCo") & (part["alpha"] == 256)]
    beyond = proven["alpha"] > proven["k"]  # below, log(1 + alpha) - L is proven as it is
    best = proven["certified"].where(~beyond, proven[["certified", "nwj"]].max(axis=1))
    axis.plot(proven["k"], best, ls=":", color=COLOURS["bound"], label="certified at alpha 256")
    if part["information"].notna().all():
        truth = part["information"].iloc[0]
        axis.axhline(truth, color=COLOURS["truth"], ls="-.", label="true I")
    top = part["value"].max() * 1.1
    axis.set(xscale="log", xlabel="K", ylabel="nats", title=part["bed"].iloc[0], ylim=(-0.3, top))


def draw(frame: pd.DataFrame) -> Figure:
    """The paper's estimate: hollow where it exceeds I by three errors, and so is not a bound."""
    figure, axes = panels(2, 2)
    for axis, (_, part) in zip(axes, frame.groupby("bed", sort=False), strict=True):
        draw_bed(axis, part)
    legend_below(figure, axes[0], "hollow marker: above I, not a bound")
    return figure


if __name__ == "__main__":
    build("mi_bound", compute, draw)
