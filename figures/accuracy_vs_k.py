"""Figure 3: accuracy against K, one panel for each scale and method that has records."""

from __future__ import annotations

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from eqco.recipe import SCALES
from figures.evidence import base_of, means, of_recipes
from figures.style import COLOURS, HERE, MARKERS, build, legend_below, log_axis, panels, seeds_in
from reproductions import table1, table2

PUBLISHED = HERE.parent / "reproductions" / "paper" / "published.csv"


def compute() -> pd.DataFrame:
    """Runs of tables 1 and 2 at every scale, and published values whose K is known."""
    found = []
    for scale in (name for name, each in SCALES.items() if each.evidence):
        for table in (table1, table2):
            recipes = list(table.rows(scale, base_of(scale)).values())
            found.append(of_recipes(scale, recipes))
    frame = pd.concat(found)
    frame = frame.assign(panel=frame["method"] + ", " + frame["scale"])
    values = pd.read_csv(PUBLISHED).query("metric == 'top1'")
    count = values["row"].str.extract(r"(?:-k|K=)(\d+)")[0]
    method = values["row"].str.extract(r"(?i)^(simo|moco|simclr)")[0].str.lower()
    values = values.assign(num_negatives=count, loss=method, linear=values["value"])
    values = values.dropna(subset=["num_negatives"]).drop_duplicates(["num_negatives", "loss"])
    values = values.assign(panel="ImageNet, published", scale="imagenet", method="published")
    names = ["panel", "scale", "method", "loss", "num_negatives", "seed", "linear"]
    return pd.concat([frame, values]).astype({"num_negatives": int}).reindex(columns=names)


def draw_panel(axis: Axes, part: pd.DataFrame) -> None:
    """Mean with its 90 % interval, and single seeds; published points in grey."""
    for name, line in part.groupby("loss", sort=False):
        if part["seed"].isna().all():
            marker = {"simo": "D", "moco": "^", "simclr": "v"}[name]
            axis.plot(line["num_negatives"], line["linear"], marker, color="0.5", label=name)
            continue
        mean = means(line, "num_negatives")
        style = {"color": COLOURS[name], "marker": MARKERS[name], "label": name, "capsize": 2}
        axis.errorbar(mean["num_negatives"], mean["mean"], mean["half"], **style)
        axis.plot(line["num_negatives"], line["linear"], ".", color=COLOURS[name], alpha=0.4, ms=2)
    seeds = part.groupby(["loss", "num_negatives"]).size()
    count = seeds_in(seeds)
    title = part["panel"].iloc[0] + ("" if part["seed"].isna().all() else f" ({count})")
    low, high = part["linear"].min() - 0.8, part["linear"].max() + 0.8
    axis.set(xlabel="K", ylabel="linear probe, top-1 %", title=title, ylim=(low, high))
    log_axis(axis, part["num_negatives"])


def draw(frame: pd.DataFrame) -> Figure:
    """EqCo against InfoNCE across K at one learning rate; the scales are not comparable."""
    parts = list(frame.groupby("panel", sort=False))
    figure, axes = panels(2, (len(parts) + 1) // 2)
    for axis, (_, part) in zip(axes, parts, strict=False):
        draw_panel(axis, part)
    axes[len(parts) - 1].legend()
    for axis in axes[len(parts) :]:
        axis.set_axis_off()
    legend_below(figure, axes[0], None)
    return figure


if __name__ == "__main__":
    build("accuracy_vs_k", compute, draw)
