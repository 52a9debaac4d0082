"""What EqCo and its jackknife lose with few negatives, over disjoint draws: noise, or bias?"""

import pandas as pd
from matplotlib.figure import Figure

from figures import style
from reproductions.experiments import missing
from reproductions.results.evidence import committed, lost_against, shown_scales
from reproductions.tables import table
from reproductions.tables.claims import predicted_losses

NAMES = ["panel", "loss", "num_negatives", "draws", "seed", "points", "predicted"]


def compute() -> pd.DataFrame:
    """Runs of table 7 against all negatives of the same seed, with the points predicted."""
    frames = []
    for scale in shown_scales():
        runs, full = committed(scale).table_runs(7), table(7, scale).rows[0]
        predicted = predicted_losses(table(7, scale).claims, full) if scale == "glyphs" else {}
        runs = lost_against(runs, "row", full.name).assign(predicted=runs["row"].map(predicted))
        panels = scale + ", K = " + runs["num_negatives"].astype(str)
        runs = runs.assign(panel=panels, loss=runs["loss_title"])
        frames.append(runs.sort_values(NAMES[:5]))
    runs = pd.concat(frames).dropna(subset="points")[NAMES]
    return style.compared(runs, "panel", "draws")


def draw(frame: pd.DataFrame) -> Figure:
    """Accuracy lost against all negatives, by K and number of draws."""
    figure, axes = style.panels(frame["panel"].unique())
    cells = frame.groupby(["panel", "loss", "draws"], as_index=False)
    for axis, (name, part) in zip(axes, frame.groupby("panel", sort=False), strict=True):
        style.means(axis, part, "draws", "points", "loss")
        predicted = cells["predicted"].first().query("panel == @name").dropna()
        style.hollow(axis, predicted, "draws", "predicted", "loss")
        axis.set_title(f"{name} ({style.seeds_in(part.groupby(['loss', 'draws']).size())})")
        style.level(axis, 0.0)
        style.log_axis(axis, part["draws"], "points below all negatives")
        axis.set_xlabel("disjoint draws that the loss is averaged over")
    style.legend_below(figure, f"{style.INTERVAL}; hollow: predicted before the runs")
    return figure


if __name__ == "__main__":
    style.build(compute, draw, lambda: missing.table_not_run(7, "glyphs"))
