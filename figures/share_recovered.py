"""Share of InfoNCE's loss with 16 negatives that EqCo recovers, against the learning rate."""

from dataclasses import asdict

import pandas as pd
from matplotlib.figure import Figure

from eqco.methods import METHODS
from figures import looks, style
from reproductions.experiments.grid import SHARES
from reproductions.experiments.missing import sentence_of_missing
from reproductions.results.evidence import shown_scales
from reproductions.results.shares import share_at

NAMES = ["method", "training", "learning_rate", "n", "value", "low", "high"]
RANGE = (-0.6, 1.6)  # of the axis; an interval without bound ends at its edge
PAPER = 0.03


def compute() -> pd.DataFrame:
    """Every method, data set, training and learning rate with three seeds or more."""
    lines = []
    for scale in shown_scales():
        for series in SHARES.values():
            method, name = METHODS[series.method].title, series.named(scale)
            for rate in series.rates:
                place = {"method": method, "training": name, "learning_rate": rate}
                if share := share_at(scale, series, rate):
                    lines.append(place | asdict(share))
    return pd.DataFrame(lines, columns=NAMES)


def draw(frame: pd.DataFrame) -> Figure:
    """What EqCo gives back falls as the learning rate grows."""
    shifts = frame["training"].map(looks.SHIFTS).fillna(1.0)
    frame = frame.assign(**{"learning rate": frame["learning_rate"] * shifts})
    figure, axes = style.panels(frame["method"].unique(), across=3)
    for axis, (_, part) in zip(axes, frame.groupby("method", sort=False), strict=True):
        style.ranges(axis, part, "learning rate", "training", RANGE)
        style.curves(axis, part, "learning rate", "value", "training", errorbar=None)
        style.level(axis, 1.0, "all of it")
        style.level(axis, 0.5, "half")
        style.level(axis, 0.0, "nothing")
        style.pointer(axis, PAPER)
        is_first = axis is axes[0]
        ticks = part["learning rate"].where(part["training"] == part["training"].mode()[0]).dropna()
        style.log_axis(axis, ticks, "share of the loss recovered" if is_first else "")
        style.foot(axis, part, "learning rate", "n", "training")
        axis.set_ylim(*RANGE)
    title = (
        "K = 16; bar: 95 % interval (Fieller), an arrow where it goes on; at the foot: seeds; "
        "dotted: the paper's learning rate"
    )
    style.legend_below(figure, title)
    return figure


if __name__ == "__main__":
    style.build(compute, draw, lambda: sentence_of_missing("glyphs"))
