"""Accuracy against K, one panel for each scale and method that has records."""

import pandas as pd
from matplotlib.figure import Figure

from eqco.methods import METHODS
from figures import style
from reproductions.experiments import missing
from reproductions.results.evidence import committed, shown_scales
from reproductions.results.published import published

PUBLISHED = "ImageNet, published"
NAMES = ["panel", "scale", "method", "loss", "num_negatives", "seed", "linear"]


def compute() -> pd.DataFrame:
    """Runs of tables 1 and 2 at every scale, and published values whose K is known."""
    runs = (committed(name).table_runs(number) for name in shown_scales() for number in (1, 2))
    frame = pd.concat(runs)
    if frame.empty:
        return frame
    frame = frame.assign(method=frame["method_title"], loss=frame["loss_title"])
    frame = frame.assign(panel=frame["method_title"] + ", " + frame["scale"])
    frame = style.compared(frame, "panel", "num_negatives")
    values = {
        (METHODS[number.method].title, number.num_negatives, float(number.value))
        for number in published()
        if number.metric == "top1" and number.num_negatives
    }
    literature = pd.DataFrame(sorted(values), columns=["method", "num_negatives", "linear"])
    literature = literature.assign(panel=PUBLISHED, scale="imagenet", loss="published")
    return pd.concat([frame, literature])[NAMES]


def draw(frame: pd.DataFrame) -> Figure:
    """EqCo against InfoNCE across K at one learning rate; the scales are not comparable."""
    frame = frame.rename(columns={"num_negatives": "K"})
    figure, axes = style.panels(frame["panel"].unique())
    for axis, (name, part) in zip(axes, frame.groupby("panel", sort=False), strict=True):
        if name == PUBLISHED:
            style.dots(axis, part, "K", "linear", "method")
            style.labels(axis, part, "K", "linear", "method")
        else:
            style.means(axis, part, "K", "linear", "loss", seeds=True)
            count = style.seeds_in(part.groupby(["loss", "K"]).size())
            axis.set_title(f"{name} ({count})")
        style.log_axis(axis, part["K"], "linear probe, top-1 %")
    style.legend_below(figure, f"{style.INTERVAL}; dot: one seed")
    return figure


if __name__ == "__main__":
    style.build(compute, draw, lambda: missing.table_not_run(1, "glyphs"))
