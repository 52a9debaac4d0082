"""Figure 6: accuracy against the learning rate, InfoNCE and EqCo, one panel a K."""

from __future__ import annotations

import pandas as pd
from matplotlib.figure import Figure

from figures.evidence import means, of_recipes
from figures.style import COLOURS, MARKERS, build, legend_below, log_axis, panels
from reproductions.sweep import SEEDS, baseline, grid


def compute() -> pd.DataFrame:
    """The sweep published with table 1, its own seeds."""
    found = of_recipes("glyphs", [*baseline(), *grid()])
    found = found[found["seed"].isin(SEEDS)]
    return found[
        ["loss", "num_negatives", "learning_rate", "seed", "linear", "knn", "cv2", "one_minus_pi0"]
    ]


def draw(frame: pd.DataFrame) -> Figure:
    """EqCo's advantage is largest at low rates: in large part it is a learning rate."""
    counts = sorted(frame["num_negatives"].unique())
    figure, axes = panels(2, 2)
    full = means(
        frame[(frame["loss"] == "InfoNCE") & (frame["num_negatives"] == counts[-1])],
        "learning_rate",
    )
    low, high = frame["linear"].min() - 0.5, frame["linear"].max() + 0.5
    for axis, k in zip(axes, counts, strict=True):
        part = frame[frame["num_negatives"] == k]
        for name, line in part.groupby("loss", sort=False):
            mean = means(line, "learning_rate")
            style = {"color": COLOURS[name], "marker": MARKERS[name], "capsize": 2}
            axis.errorbar(mean["learning_rate"], mean["mean"], mean["half"], label=name, **style)
            axis.plot(
                line["learning_rate"], line["linear"], ".", color=COLOURS[name], alpha=0.4, ms=2
            )
        if k != counts[-1]:
            axis.plot(
                full["learning_rate"],
                full["mean"],
                color="0.6",
                lw=0.8,
                label=f"InfoNCE, K = {counts[-1]}",
            )
        axis.set(
            xlabel="learning rate",
            ylabel="linear probe, top-1 %",
            title=f"K = {k} (n = 3)",
            ylim=(low, high),
        )
        log_axis(axis, part["learning_rate"])
    legend_below(figure, axes[0], None)
    return figure


if __name__ == "__main__":
    build("learning_rate", compute, draw)
