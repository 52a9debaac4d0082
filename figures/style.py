"""What all figures share: sizes, what is drawn into panels, and how a figure is written."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterable, Mapping
from io import BytesIO
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator
from PIL import Image

from eqco.cli.errors import run_cli
from eqco.runtime.files import write_atomically
from eqco.runtime.validation import path_argument
from figures.looks import BLACK, COLOURS, DARK, DASHES, GRAY, MARKERS, SHIFTS
from reproductions.statistics.verdicts import LEVEL, mean_interval

OUT = Path(__file__).parent / "out"
COLUMN, HEIGHT, DPI = 3.4, 2.5, 200  # inches: width of a column of a paper, height of a panel
LOW = 0.65  # height of a panel that has a row to itself, in panels
THEME: Any = {
    "font.size": 7,
    "axes.titlesize": 7,
    "legend.fontsize": 6,
    "legend.title_fontsize": 6,
    "legend.frameon": False,
    "legend.handlelength": 3,
    "lines.linewidth": 1.1,
    "lines.markersize": 4,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.6,
    "pdf.fonttype": 42,
}

THIN: dict[str, Any] = {"linewidth": 0.7, "zorder": 0}  # lines that are no data
BAR: dict[str, Any] = {"elinewidth": 0.8, "capsize": 2}
INTERVAL = f"bar: {100 * LEVEL:.0f} % interval of the mean"


def panels(names: Iterable[str], across: int = 2) -> tuple[Figure, list[Axes]]:
    """Titled panels, so many a row, as wide as two columns; an odd one out of two has a low row."""
    names = list(names)
    rows = [names[i : i + across] for i in range(0, len(names), across)]
    heights = [1 if len(row) == across else LOW for row in rows]
    size = (2 * COLUMN, HEIGHT * sum(heights))
    cells: Any = [row * (across // len(row)) for row in rows]
    figure, axes = plt.subplot_mosaic(
        cells, figsize=size, height_ratios=heights, layout="constrained"
    )
    for name in names:
        axes[name].set_title(name)
    return figure, [axes[name] for name in names]


def stacked(counts: Mapping[str, int]) -> tuple[Figure, list[Axes]]:
    """Titled panels one below the other with a common x axis; as high as their lines."""
    size = (2 * COLUMN, 0.17 * sum(counts.values()) + 0.35 * len(counts) + 0.6)
    heights = list(counts.values())
    figure, axes = plt.subplots(
        len(counts), 1, figsize=size, height_ratios=heights, sharex=True, layout="constrained",
        squeeze=False,
    )  # fmt: skip
    for axis, name in zip(axes[:, 0], counts, strict=True):
        axis.set_title(name, loc="right")
    return figure, list(axes[:, 0])


def forest(axis: Axes, data: pd.DataFrame, band: float) -> None:
    """A line for each row: mean, low, high, status and label; a band around 0 does not matter."""
    axis.axvspan(-band, band, color="0.92", zorder=0)
    axis.axvline(0, color=GRAY, **THIN)
    for status, part in data.groupby("status"):
        reach = [part["mean"] - part["low"], part["high"] - part["mean"]]
        look: Any = {"color": COLOURS[str(status)], "fmt": MARKERS[str(status)], "ms": 4, "lw": 1}
        axis.errorbar(part["mean"], -part.index, xerr=reach, label=str(status), **look)
    axis.set_yticks([-place for place in data.index], list(data["label"]))
    axis.set_ylim(0.4 - len(data), 0.6)


def boxes(axis: Axes, data: pd.DataFrame, low: str, high: str) -> None:
    """A gray box behind each line of a forest plot, from one column to another."""
    width = data[high] - data[low]
    axis.barh(-data.index, width, 0.7, data[low], color="0.85", zorder=0.5, label="predicted")


def limits(axis: Axes, data: pd.DataFrame, *columns: str) -> None:
    """A short vertical line at the finite values of some columns on each line of a forest plot."""
    for column in columns:
        at = data[column].where(np.isfinite)
        axis.vlines(at, -data.index - 0.4, -data.index + 0.4, lw=0.8, color=BLACK)


def ranges(axis: Axes, data: pd.DataFrame, x: str, by: str, within: tuple[float, float]) -> None:
    """A thin bar from `low` to `high` of each line of the data; an arrow where an axis cuts it."""
    for name, part in data.groupby(by, sort=False):
        low, high = (part[end].clip(*within) for end in ("low", "high"))
        axis.vlines(part[x], low, high, color=COLOURS[str(name)], lw=0.7)
        look: Any = {"color": COLOURS[str(name)], "ls": "", "clip_on": False, "in_layout": False}
        for cut, at, marker in (
            (part["low"] < within[0], within[0], "v"),
            (part["high"] > within[1], within[1], "^"),
        ):
            axis.plot(part[x][cut], [at] * cut.sum(), marker=marker, **look)


def foot(axis: Axes, data: pd.DataFrame, x: str, column: str, by: str) -> None:
    """The value of a column at the lower edge beneath each point, a line for each group."""
    at: Any = {"xycoords": axis.get_xaxis_transform(), "textcoords": "offset points"}
    for line, (name, part) in enumerate(data.groupby(by, sort=False)):
        look: Any = {"ha": "left", "color": COLOURS[str(name)], "size": 6, "in_layout": False}
        for place, value in zip(part[x], part[column], strict=True):
            axis.annotate(f"{value}", (place, 0), (2, 2 + 7 * line), **at, **look)


def pointer(axis: Axes, x: float) -> None:
    axis.axvline(x, color=GRAY, linestyle=":", **THIN)


def curves(axis: Axes, data: pd.DataFrame, x: str, y: str, by: str, **more: Any) -> None:
    """A line with markers for each value of a column, hollow where a column `hollow` is true."""
    more = {"palette": COLOURS, "markers": MARKERS, "dashes": DASHES, "markeredgewidth": 0} | more
    sns.lineplot(data, x=x, y=y, hue=by, style=by, ax=axis, **more)
    if "hollow" in data and data["hollow"].any():
        hollow(axis, data[data["hollow"]], x, y, by)


def lines(axis: Axes, data: pd.DataFrame, x: str, y: str, by: str, **more: Any) -> None:
    """Reference lines, which have no markers and no intervals."""
    if len(data):
        curves(axis, data, x, y, by, **{"markers": False, "errorbar": None, "zorder": 1.5, **more})


def interval(values: pd.Series) -> tuple[float, float]:
    """The 95 % t-interval of a mean, for seaborn's `errorbar`."""
    return mean_interval(values.to_numpy()) if len(values) > 1 else (values.iloc[0],) * 2


def means(axis: Axes, data: pd.DataFrame, x: str, y: str, by: str, seeds: bool = False) -> None:
    """Means with 95 % intervals, set apart a little in x, and single seeds as dots."""
    data = data.assign(**{x: data[x] * data[by].map(SHIFTS)})
    curves(axis, data, x, y, by, errorbar=interval, err_style="bars", err_kws=BAR)
    if seeds:
        dots(axis, data, x, y, by, s=3, alpha=0.6, zorder=1)


def dots(axis: Axes, data: pd.DataFrame, x: str, y: str, by: str, **more: Any) -> None:
    """A marker for each line of the data; `half`: the column with half the length of its bar."""
    half = more.pop("half", None)
    for name, part in data.groupby(by) if half else ():
        axis.errorbar(part[x], part[y], part[half], fmt="none", ecolor=COLOURS[str(name)], **BAR)
    look = {"palette": COLOURS, "markers": MARKERS, "s": 16, "linewidth": 0, "zorder": 3}
    more = {"style": by, "legend": False} | look | more
    sns.scatterplot(data, x=x, y=y, hue=by, ax=axis, **more)


def hollow(axis: Axes, data: pd.DataFrame, x: str, y: str, by: str, **more: Any) -> None:
    """Markers that are white inside; none where there is no data."""
    if len(data):
        dots(axis, data, x, y, by, linewidth=1, **more)
        axis.collections[-1].set(edgecolor=axis.collections[-1].get_facecolor(), facecolor="white")


def key(axis: Axes, coloured: Iterable[str], plain: Iterable[str]) -> None:
    """Entries of a legend where colour and marker differ in meaning; "not fitted" is hollow."""
    colours = {name: COLOURS[name] for name in coloured} | dict.fromkeys(plain, DARK)
    for name, colour in colours.items():
        look: dict[str, Any] = {"color": colour, "marker": MARKERS[name], "linestyle": "none"}
        (entry,) = axis.plot([], [], label=name, **look)
        if name == "not fitted":
            entry.set_markerfacecolor("white")


def labels(axis: Axes, data: pd.DataFrame, x: str, y: str, by: str) -> None:
    """Name and value above each point."""
    for name, at in zip(data[by], zip(data[x], data[y], strict=True), strict=True):
        axis.annotate(f"{name} {at[1]:.1f}", at, (0, 4), ha="center", textcoords="offset points")
    axis.margins(0.2, 0.25)


def marks(axis: Axes, data: pd.DataFrame, x: str, by: str) -> None:
    """A thin vertical line for each value of a column."""
    for name, value in data.groupby(by)[x].first().items():
        axis.axvline(value, color=COLOURS[str(name)], **THIN)


def level(axis: Axes, value: float, text: str = "") -> None:
    """A thin horizontal line with a text at its left end."""
    axis.axhline(value, color=GRAY, **THIN)
    at: Any = {"xycoords": axis.get_yaxis_transform(), "textcoords": "offset points"}
    axis.annotate(text, (0, value), (3, 2), in_layout=False, **at)


def log_axis(axis: Axes, values: Iterable[float], ylabel: str) -> None:
    """A logarithmic x axis with ticks at these values alone, without those that would touch."""
    ticks: list[float] = []
    for value in sorted(set(values)):
        if not ticks or value > 1.15 * ticks[-1]:
            ticks.append(value)
    axis.set(xscale="log", ylabel=ylabel)
    axis.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
    axis.xaxis.set_minor_locator(NullLocator())


def legend_below(figure: Figure, title: str | None = None) -> None:
    """One legend under all panels, each label once."""
    entries: dict[str, Any] = {}
    for axis in figure.axes:
        handles, labels = axis.get_legend_handles_labels()
        entries = dict(zip(labels, handles, strict=True)) | entries
        if axis_legend := axis.get_legend():
            axis_legend.remove()
    handles, labels = list(entries.values()), list(entries)
    figure.legend(handles, labels, loc="outside lower center", ncols=4, title=title)


def seeds_in(counts: pd.Series) -> str:
    """`n = 5`, or `n = 3 to 5` where cells have different numbers of seeds."""
    fewest, most = int(counts.min()), int(counts.max())
    return f"n = {fewest}" if fewest == most else f"n = {fewest} to {most}"


def write(frame: pd.DataFrame, path: Path) -> None:
    """Write a CSV, the same bytes on every system."""
    write_atomically(path, frame.to_csv(index=False, float_format="%.6g", lineterminator="\n"))


def drawn(draw: Callable[[pd.DataFrame], Figure], frame: pd.DataFrame) -> Figure:
    """The figure of a frame, in the theme of all figures."""
    with plt.rc_context(THEME):
        return draw(frame)


PICTURES: dict[str, dict[str, Any]] = {
    "png": {"dpi": DPI, "metadata": {"Software": None}},
    "pdf": {"metadata": {"CreationDate": None, "Producer": None}},
}


def save(figure: Figure, name: str, folder: Path) -> None:
    """Write NAME.pdf and NAME.png, of 64 colours; the same figure gives the same bytes."""
    with plt.rc_context(THEME):
        for ending, settings in PICTURES.items():
            content = BytesIO()
            figure.savefig(content, format=ending, **settings)
            if ending == "png":
                picture = Image.open(content).convert("RGB")
                picture = picture.quantize(64, Image.Quantize.MAXCOVERAGE)
                picture.save(content := BytesIO(), format="png", optimize=True)
            write_atomically(folder / f"{name}.{ending}", content.getvalue())
    plt.close(figure)


def compared(frame: pd.DataFrame, groups: str | list[str], column: str) -> pd.DataFrame:
    """The groups in which `column` has two values at least: a single one is no comparison."""
    return frame[frame.groupby(groups)[column].transform("nunique") > 1]


def build(
    compute: Callable[[], pd.DataFrame],
    draw: Callable[[pd.DataFrame], Figure],
    needed: Callable[[], str] = lambda: "",
    report: Callable[[pd.DataFrame], str] | None = None,
) -> None:
    """Compute NAME.csv and draw NAME.pdf and NAME.png from it; NAME is that of the script.

    Where the frame is empty nothing is drawn, files of older records are removed, and one sentence
    says what is missing.

    Args:
        compute: the tidy frame.
        draw: the figure of a frame.
        needed: what makes the records behind it, and at what price.
        report: what is printed besides, of the frame.
    """
    name = Path(compute.__code__.co_filename).stem
    parser = argparse.ArgumentParser(prog=f"python -m figures.{name}", description=draw.__doc__)
    parser.add_argument("--out", type=path_argument, default=OUT, help="folder to write to")
    out = parser.parse_args().out

    def write_all() -> None:
        frame = compute()
        if frame.empty:
            for ending in ("csv", *PICTURES):
                (out / f"{name}.{ending}").unlink(missing_ok=True)
            why = needed() or "more seeds are needed"
            print(f"{name}: not drawn, too few records are behind it; {why}")
            return
        write(frame, out / f"{name}.csv")
        save(drawn(draw, pd.read_csv(out / f"{name}.csv")), name, out)
        if report:
            print(report(frame))
        print(f"{name}: .csv, .pdf and .png in {out}")

    if status := run_cli(write_all):
        sys.exit(status)
