"""Share of InfoNCE's loss with 16 negatives that EqCo recovers, against the learning rate."""

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from eqco.methods import METHODS
from figures import style
from reproductions.experiments.grid import grid
from reproductions.experiments.missing import sentence_of_missing
from reproductions.results.records import by_seed, evidence_base, recipe_runs, shown_scales
from reproductions.scales import SCALES
from reproductions.statistics.verdicts import share_recovered
from reproductions.tables.claims import HEADLINE_K

NAMES = ["method", "scale", "learning_rate", "n", "share", "low", "high"]
RANGE = (-0.6, 1.6)  # of the axis; an interval without bound ends at its edge


def cell(scale: str, method: str, rate: float) -> dict[str, object] | None:
    """The share at a learning rate, over the seeds that the three rows have; None below three."""
    recipes = [r for r in grid(SCALES[scale], evidence_base(scale)) if r.method == method]
    recipes = [recipe for recipe in recipes if recipe.learning_rate == rate]
    most = max((recipe.num_negatives for recipe in recipes), default=0)
    rows = []
    for loss, k in (("infonce", HEADLINE_K), ("eqco", HEADLINE_K), ("infonce", most)):
        own = [r for r in recipes if (r.loss, r.num_negatives) == (loss, k)]
        rows.append(by_seed(recipe_runs(scale, own)))
    seeds = sorted(set.intersection(*map(set, rows)))
    if len(seeds) < 3:
        return None
    few, eqco, full = (np.array([row[seed] for seed in seeds]) for row in rows)
    share, low, high = share_recovered(few, eqco, full)
    place = {"method": METHODS[method].title, "scale": scale, "learning_rate": rate}
    return {**place, "n": len(seeds), "share": share, "low": low, "high": high}


def compute() -> pd.DataFrame:
    """Every method, data set and learning rate of the sweep with three seeds or more."""
    found = [
        cell(scale, method, rate)
        for scale in shown_scales()
        for method in ("simo", "moco", "simclr")
        for rate in sorted({r.learning_rate for r in grid(SCALES[scale], evidence_base(scale))})
    ]
    frame = pd.DataFrame([each for each in found if each], columns=NAMES)
    return frame[frame.groupby(["scale", "method"])["share"].transform("count") > 1]


def draw(frame: pd.DataFrame) -> Figure:
    """What EqCo gives back falls as the learning rate grows; the paper's rate is 0.03."""
    frame = frame.rename(columns={"learning_rate": "learning rate"})
    figure, axes = style.panels(frame["method"].unique())
    for axis, (_, part) in zip(axes, frame.groupby("method", sort=False), strict=True):
        for name, line in part.groupby("scale", sort=False):
            low, high = (line[end].clip(*RANGE) for end in ("low", "high"))
            axis.vlines(line["learning rate"], low, high, color=style.COLOURS[str(name)], lw=0.7)
        style.curves(axis, part, "learning rate", "share", "scale", errorbar=None)
        style.level(axis, 1.0, "all of it")
        style.level(axis, 0.0, "nothing")
        axis.axvline(0.03, color=style.GRAY, linestyle=":", linewidth=0.7, zorder=0)
        style.log_axis(axis, part["learning rate"], "share of the loss recovered")
        axis.set_ylim(*RANGE)
    count = style.seeds_in(frame["n"])
    title = f"K = 16; bar: 95 % interval (Fieller), {count}; dotted: the paper's learning rate"
    style.legend_below(figure, title)
    return figure


if __name__ == "__main__":
    style.build(compute, draw, lambda: sentence_of_missing("glyphs"))
