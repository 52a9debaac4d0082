"""Figure 5: accuracy and the weight of the negatives against alpha; where EqCo becomes DCL."""

from __future__ import annotations

import pandas as pd
from matplotlib.figure import Figure

from figures.evidence import base_of, means, of_recipes
from figures.style import MARKERS, SHADES, build, legend_below, log_axis, panels, seeds_in
from reproductions import table4, table5


def compute() -> pd.DataFrame:
    """Runs of table 4, and DCL of table 5, at scale glyphs."""
    recipes = list(table4.rows("glyphs", base_of("glyphs")).values())
    recipes += [r for r in table5.rows("glyphs", base_of("glyphs")).values() if r.loss == "dcl"]
    names = ["loss", "num_negatives", "alpha", "seed", "linear", "one_minus_pi0", "cv2"]
    return of_recipes("glyphs", recipes)[names]


def draw(frame: pd.DataFrame) -> Figure:
    """Left: accuracy. Right: 1 - pi_0, to which the mean gradient is proportional."""
    figure, axes = panels(2)
    for k, part in frame.groupby("num_negatives"):
        colour, dcl = SHADES[k], part[part["loss"] == "DCL"]
        for axis, metric in zip(axes, ("linear", "one_minus_pi0"), strict=True):
            mean = means(part[part["loss"] == "EqCo"], "alpha", metric)
            style = {"color": colour, "marker": MARKERS["EqCo"], "capsize": 2}
            axis.errorbar(
                mean["alpha"], mean["mean"], mean["half"], **style, label=f"EqCo, K = {k}"
            )
            if len(dcl):
                axis.axhline(dcl[metric].mean(), color=colour, ls=":", label=f"DCL, K = {k}")
            axis.axvline(k, color=colour, lw=0.5)
    counts = frame[frame["loss"] == "EqCo"].groupby(["num_negatives", "alpha"]).size()
    low, high = frame["linear"].min() - 0.3, frame["linear"].max() + 0.3
    axes[0].set_ylim(low, high)
    axes[0].set(ylabel="linear probe, top-1 %", title=f"accuracy ({seeds_in(counts)})")
    axes[1].set(ylabel="1 − π₀ of the trained encoder", title="weight of the negatives")
    for axis in axes:
        log_axis(axis, frame["alpha"].dropna())
        axis.set_xlabel("alpha (vertical lines: alpha = K, which is InfoNCE)")
    legend_below(figure, axes[0], None)
    return figure


if __name__ == "__main__":
    build("alpha", compute, draw)
