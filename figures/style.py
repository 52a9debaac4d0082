"""What all figures share: names, colours, sizes, and how a figure is written.

Colours are Okabe and Ito's, which the colour-blind tell apart; markers and dashes differ as well.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterable
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator

HERE = Path(__file__).parent
RECORDS = HERE.parent / "reproductions" / "records"
COLUMN = 3.4  # inches, one column of a paper
HEIGHT = 2.6
DPI = 200

COLOURS = {"InfoNCE": "#D55E00", "EqCo": "#0072B2", "bound": "#000000", "truth": "#009E73"}
MARKERS = {"InfoNCE": "o", "EqCo": "s"}
DASHES = {16: (0, (1, 1)), 256: "solid", 65536: (0, (5, 1.5))}
SHADES = {4: "#56B4E9", 16: "#E69F00", 64: "#009E73", 255: "#000000"}
SETTINGS = {
    "font.size": 7,
    "axes.titlesize": 7,
    "legend.fontsize": 5.5,
    "legend.frameon": False,
    "legend.title_fontsize": 5.5,
    "lines.linewidth": 1.1,
    "lines.markersize": 3,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.6,
    "pdf.fonttype": 42,
}


def panels(columns: int, rows: int = 1) -> tuple[Figure, list[Axes]]:
    """A figure of equal panels, each as wide as a column, and its axes row by row."""
    with plt.rc_context(SETTINGS):
        figure, axes = plt.subplots(
            rows, columns, figsize=(COLUMN * columns, HEIGHT * rows), squeeze=False
        )
    return figure, list(axes.flatten())


def log_axis(axis: Axes, values: Iterable[float]) -> None:
    """A logarithmic x axis with ticks at these values alone, without those that would touch."""
    ticks: list[float] = []
    for value in sorted(set(values)):
        if not ticks or value > 1.15 * ticks[-1]:
            ticks.append(value)
    axis.set_xscale("log")
    axis.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
    axis.xaxis.set_minor_locator(NullLocator())


def legend_below(figure: Figure, axis: Axes, title: str | None) -> None:
    """One legend under all panels, of what `axis` shows."""
    handles, labels = axis.get_legend_handles_labels()
    with plt.rc_context(SETTINGS):
        figure.legend(
            handles, labels, ncols=3, loc="upper center", bbox_to_anchor=(0.5, 0), title=title
        )


def save(figure: Figure, name: str, folder: Path) -> None:
    """Write NAME.pdf and NAME.png; the same figure gives the same bytes."""
    with plt.rc_context(SETTINGS):
        figure.tight_layout()
        figure.savefig(
            folder / f"{name}.png", dpi=DPI, metadata={"Software": None}, bbox_inches="tight"
        )
        figure.savefig(
            folder / f"{name}.pdf",
            metadata={"CreationDate": None, "Producer": None},
            bbox_inches="tight",
        )
    plt.close(figure)


def build(
    name: str, compute: Callable[[], pd.DataFrame], draw: Callable[[pd.DataFrame], Figure]
) -> None:
    """Compute NAME.csv and draw NAME.pdf and NAME.png from it.

    Args:
        name: of the figure.
        compute: the tidy frame.
        draw: the figure of a frame.
    """
    parser = argparse.ArgumentParser(prog=f"python -m figures.{name}", description=draw.__doc__)
    parser.add_argument("--folder", type=Path, default=HERE, help="where to write")
    given = parser.parse_args()
    given.folder.mkdir(parents=True, exist_ok=True)
    csv = given.folder / f"{name}.csv"
    compute().to_csv(csv, index=False, float_format="%.6g", lineterminator="\n")
    with plt.rc_context(SETTINGS):
        save(draw(pd.read_csv(csv)), name, given.folder)
    print(f"{name}: {csv.name}, .pdf and .png in {given.folder}")


def seeds_in(counts: pd.Series) -> str:
    """`n = 5`, or `n = 3 to 5` where cells have different numbers of seeds."""
    least, most = counts.min(), counts.max()
    return f"n = {least}" if least == most else f"n = {least} to {most}"
