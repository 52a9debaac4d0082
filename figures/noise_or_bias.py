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
        found, full = committed(scale).table_runs(7), table(7, scale).rows[0]
        known = predicted_losses(table(7, scale).claims, full) if scale == "glyphs" else {}
        found = lost_against(found, full.name).assign(predicted=found["row"].map(known))
        panels = scale + ", K = " + found["num_negatives"].astype(str)
        found = found.assign(panel=panels, loss=found["loss_title"])
        frames.append(found.sort_values(NAMES[:5]))
    found = pd.concat(frames).dropna(subset="points")[NAMES]
    return style.compared(found, "panel", "draws")


def draw(frame: pd.DataFrame) -> Figure:
    """Accuracy lost against all negatives, by K and number of draws."""
    figure, axes = style.panels(frame["panel"].unique())
    cells = frame.groupby(["panel", "loss", "draws"], as_index=False)
    for axis, (name, part) in zip(axes, frame.groupby("panel", sort=False), strict=True):
        style.means(axis, part, "draws", "points", "loss")
        known = cells["predicted"].first().query("panel == @name").dropna()
        style.hollow(axis, known, "draws", "predicted", "loss")
        axis.set_title(f"{name} ({style.seeds_in(part.groupby(['loss', 'draws']).size())})")
        style.level(axis, 0.0)
        style.log_axis(axis, part["draws"], "points below all negatives")
        axis.set_xlabel("disjoint draws that the loss is averaged over")
    style.legend_below(figure, f"{style.INTERVAL}; hollow: predicted before the runs")
    return figure


if __name__ == "__main__":
    style.build(compute, draw, lambda: missing.table_not_run(7, "glyphs"))
