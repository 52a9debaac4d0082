"""Accuracy against the learning rate, InfoNCE and EqCo, one panel a K."""

import pandas as pd
from matplotlib.figure import Figure

from figures import style
from reproductions.evidence import recipe_runs
from reproductions.sweep import SEEDS, baselines, grid

NAMES = ["loss", "num_negatives", "learning_rate", "seed", "linear", "knn", "cv2", "one_minus_pi0"]


def compute() -> pd.DataFrame:
    """The sweep published with table 1, its own seeds."""
    found = recipe_runs("glyphs", [*baselines(), *grid()])
    found = found[found["seed"].isin(SEEDS)].assign(loss=found["loss_title"])
    return found[NAMES].sort_values(NAMES[:4])


def draw(frame: pd.DataFrame) -> Figure:
    """EqCo's advantage is largest at low rates: in large part it is a learning rate."""
    frame = frame.rename(columns={"learning_rate": "learning rate", "num_negatives": "K"})
    full = frame[(frame["loss"] == "InfoNCE") & (frame["K"] == frame["K"].max())]
    full = full.assign(loss="InfoNCE, full K")
    figure, axes = style.panels([f"K = {k}" for k in sorted(frame["K"].unique())])
    for axis, (k, part) in zip(axes, frame.groupby("K"), strict=True):
        style.means(axis, part, "learning rate", "linear", "loss")
        if k < frame["K"].max():
            style.lines(axis, full, "learning rate", "linear", "loss")
        style.log_axis(axis, part["learning rate"], "linear probe, top-1 %")
    count = style.seeds_in(frame.groupby(["K", "loss", "learning rate"]).size())
    style.legend_below(figure, f"bar: 90 % interval of the mean, {count}; the y axes differ")
    return figure


if __name__ == "__main__":
    style.build(compute, draw)
