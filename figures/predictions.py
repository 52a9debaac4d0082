"""Forest plot of the planned comparisons: what was predicted, and what was measured."""

import textwrap

import pandas as pd
from matplotlib.figure import Figure

from figures import style
from reproductions.experiments.planned import EXPERIMENTS
from reproductions.reports.log_pages import title_of, verdicts

NAMES = ["experiment", "label", "status", "mean", "low", "high", "n"]
ENDS = ["predicted_low", "predicted_high", "limit_low", "limit_high"]
WIDTH = 50  # characters of a line of a label


def compute() -> pd.DataFrame:
    """Every comparison with all its planned runs.

    Each has its predicted interval, and the limits between which its statement is true.
    """
    lines = []
    for name, experiment in EXPERIMENTS.items():
        for comparison, verdict in zip(experiment.comparisons, verdicts(name), strict=True):
            if verdict.n == verdict.planned:
                _, *predicted = comparison.predicted
                measured = (verdict.status, verdict.mean, verdict.low, verdict.high, verdict.n)
                limits = (comparison.low, comparison.high)
                named = (title_of(name), comparison.statement)
                lines.append((*named, *measured, *predicted, *limits))
    return pd.DataFrame(lines, columns=[*NAMES, *ENDS])


def draw(frame: pd.DataFrame) -> Figure:
    """Predicted and measured points of each comparison, experiment by experiment."""
    parts = {str(title): part for title, part in frame.groupby("experiment", sort=False)}
    figure, axes = style.stacked({title: 2 * len(part) for title, part in parts.items()})
    for axis, part in zip(axes, parts.values(), strict=True):
        part = part.reset_index(drop=True)
        labels = part["label"] + " (n\u00a0=\u00a0" + part["n"].astype(str) + ")"
        labels = labels.map(lambda text: textwrap.fill(text, WIDTH))
        style.boxes(axis, part, *ENDS[:2])
        style.forest(axis, part.assign(label=labels), 0.0)
        style.limits(axis, part, *ENDS[2:])
    axes[-1].set_xlabel("points of top-1 accuracy")
    title = "bar: 95 % interval; black: limits of the statement; colour: verdict on it"
    style.legend_below(figure, title)
    return figure


if __name__ == "__main__":
    style.build(compute, draw)
