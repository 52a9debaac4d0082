"""Accuracy against the learning rate, InfoNCE and EqCo, one panel a method and K."""

import pandas as pd
from matplotlib.figure import Figure

from eqco.methods import METHODS
from figures import style
from reproductions.experiments.grid import GRID_SEEDS, grid
from reproductions.experiments.missing import sentence_of_missing
from reproductions.results.evidence import committed
from reproductions.scales import SCALES

NAMES = ["method", "loss", "num_negatives", "learning_rate", "seed", "linear", "knn", "cv2"]


def compute() -> pd.DataFrame:
    """The sweep rate x K x loss at scale glyphs, its own seeds."""
    runs = committed("glyphs").runs(grid(SCALES["glyphs"], committed("glyphs").base))
    runs = runs[runs["seed"].isin(GRID_SEEDS)]
    runs = runs.assign(method=runs["method_title"], loss=runs["loss_title"])
    runs = style.compared(runs, ["method", "num_negatives"], "learning_rate")
    return runs[NAMES].sort_values(NAMES[:5])


def draw(frame: pd.DataFrame) -> Figure:
    """Where EqCo is ahead of InfoNCE at low rates only, it is a learning rate."""
    frame = frame.rename(columns={"learning_rate": "learning rate", "num_negatives": "K"})
    largest = frame.groupby("method")["K"].transform("max")
    full = frame[(frame["loss"] == "InfoNCE") & (frame["K"] == largest)]
    full = full.assign(loss="InfoNCE, full K")
    several = style.compared(frame, ["method", "K", "loss"], "learning rate")
    comparable = style.compared(several, ["method", "K"], "loss")
    titles = [method.title for method in METHODS.values()]
    comparable = comparable.assign(method=pd.Categorical(comparable["method"], titles))
    panels = comparable.groupby(["method", "K"], observed=True)
    figure, axes = style.panels([f"{method}, K = {k}" for (method, k), _ in panels])
    for axis, ((method, _), part) in zip(axes, panels, strict=True):
        rates = frame.loc[frame["method"] == method, "learning rate"]  # also those of full K
        style.means(axis, part, "learning rate", "linear", "loss")
        if part["K"].max() < largest[part.index].max():
            style.lines(axis, full[full["method"] == method], "learning rate", "linear", "loss")
        style.log_axis(axis, rates, "linear probe, top-1 %")
    count = style.seeds_in(frame.groupby(["method", "K", "loss", "learning rate"]).size())
    style.legend_below(figure, f"{style.INTERVAL}, {count}; the y axes differ")
    return figure


if __name__ == "__main__":
    style.build(compute, draw, lambda: sentence_of_missing("glyphs"))
