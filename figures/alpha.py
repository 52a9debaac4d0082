"""Accuracy and the weight of the negatives against alpha; where EqCo becomes DCL."""

import pandas as pd
from matplotlib.figure import Figure

from figures import style
from reproductions.experiments import missing
from reproductions.results.evidence import committed

NAMES = ["loss", "num_negatives", "alpha", "seed", "linear", "one_minus_pi0", "cv2"]
LABELS = {"linear": "linear probe, top-1 %", "one_minus_pi0": "1 − π₀ of the trained encoder"}


def compute() -> pd.DataFrame:
    """Runs of table 4, and DCL of table 5, at scale glyphs."""
    runs, losses = map(committed("glyphs").table_runs, (4, 5))
    eqco = style.compared(runs, "num_negatives", "alpha")
    frame = pd.concat([eqco, losses.query("loss == 'dcl'")]) if len(eqco) else eqco
    return frame.assign(loss=frame["loss_title"])[NAMES].sort_values(NAMES[:4])


def draw(frame: pd.DataFrame) -> Figure:
    """Accuracy, and 1 - pi_0, to which the mean gradient is proportional."""
    frame = frame.assign(series=frame["loss"] + ", K = " + frame["num_negatives"].astype(str))
    eqco, dcl = (frame[frame["loss"] == loss] for loss in ("EqCo", "DCL"))
    ends = eqco["alpha"].agg(["min", "max"])
    dcl = dcl.drop(columns="alpha").merge(ends, how="cross")
    count = style.seeds_in(eqco.groupby(["series", "alpha"]).size())
    figure, axes = style.panels([f"accuracy ({count})", "weight of the negatives"])
    for axis, (metric, label) in zip(axes, LABELS.items(), strict=True):
        style.means(axis, eqco, "alpha", metric, "series")
        style.lines(axis, dcl, "alpha", metric, "series")
        style.marks(axis, eqco, "num_negatives", "series")
        style.log_axis(axis, eqco["alpha"], label)
        axis.set_xlabel("alpha (vertical lines: alpha = K, which is InfoNCE)")
    style.legend_below(figure, style.INTERVAL)
    return figure


if __name__ == "__main__":
    style.build(compute, draw, lambda: missing.table_not_run(4, "glyphs"))
