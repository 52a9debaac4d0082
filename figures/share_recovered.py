"""Share of InfoNCE's loss with 16 negatives that EqCo recovers, against the learning rate."""

from dataclasses import asdict

import pandas as pd
from matplotlib.figure import Figure

from eqco.methods import METHODS
from figures import style
from reproductions.experiments.grid import METHOD_RATES, RATES
from reproductions.experiments.missing import sentence_of_missing
from reproductions.results.evidence import shown_scales
from reproductions.results.shares import share_at

NAMES = ["method", "scale", "learning_rate", "n", "value", "low", "high"]
RANGE = (-0.6, 1.6)  # of the axis; an interval without bound ends at its edge
PAPER = 0.03


def compute() -> pd.DataFrame:
    """Every method, data set and learning rate of the sweep with three seeds or more."""
    lines = []
    for scale in shown_scales():
        for method, rates in (("simo", RATES), ("moco", METHOD_RATES), ("simclr", METHOD_RATES)):
            for rate in rates:
                place = {"method": METHODS[method].title, "scale": scale, "learning_rate": rate}
                if share := share_at(scale, method, rate):
                    lines.append(place | asdict(share))
    return style.compared(pd.DataFrame(lines, columns=NAMES), ["method", "scale"], "learning_rate")


def draw(frame: pd.DataFrame) -> Figure:
    """What EqCo gives back falls as the learning rate grows."""
    frame = frame.rename(columns={"learning_rate": "learning rate"})
    figure, axes = style.panels(frame["method"].unique(), across=3)
    for axis, (_, part) in zip(axes, frame.groupby("method", sort=False), strict=True):
        style.ranges(axis, part, "learning rate", "scale", RANGE)
        style.curves(axis, part, "learning rate", "value", "scale", errorbar=None)
        style.level(axis, 1.0, "all of it")
        style.level(axis, 0.5, "half")
        style.level(axis, 0.0, "nothing")
        style.pointer(axis, PAPER)
        first = axis is axes[0]
        style.log_axis(axis, part["learning rate"], "share of the loss recovered" if first else "")
        style.foot(axis, part, "learning rate", "n")
        axis.set_ylim(*RANGE)
    title = (
        "K = 16; bar: 95 % interval (Fieller), an arrow where it goes on; at the foot: seeds; "
        "dotted: the paper's learning rate"
    )
    style.legend_below(figure, title)
    return figure


if __name__ == "__main__":
    style.build(compute, draw, lambda: sentence_of_missing("glyphs"))
