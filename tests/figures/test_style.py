"""The style: intervals, panels, ticks, legends, and rcParams that stay as they are."""

from __future__ import annotations

from pathlib import Path

import matplotlib.pyplot as plt
import pandas as pd
import pytest
from matplotlib.figure import Figure

from figures import looks, style

POINTS = pd.DataFrame({"K": [4, 16, 4, 16], "value": [1.0, 2, 3, 4], "loss": ["EqCo"] * 4})


@pytest.mark.parametrize(("count", "rows"), [(1, 1), (2, 1), (3, 2), (4, 2), (5, 3)])
def test_panels_leave_no_gap(count: int, rows: int) -> None:
    names = [f"panel {i}" for i in range(count)]
    figure, axes = style.panels(names)
    assert [each.get_title() for each in axes] == names == [a.get_title() for a in figure.axes]
    grid = axes[0].get_gridspec()
    assert (grid.nrows, grid.ncols) == (rows, 2)
    specs = [axis.get_subplotspec() for axis in axes]
    assert sum(len(spec.colspan) * len(spec.rowspan) for spec in specs if spec) == 2 * rows
    plt.close(figure)


def test_ticks_that_would_touch_are_left_out() -> None:
    figure, (axis,) = style.panels(["one"])
    style.log_axis(axis, [256, 255, 16, 16], "points")
    assert [label.get_text() for label in axis.get_xticklabels()] == ["16", "255"]
    assert axis.get_ylabel() == "points"
    plt.close(figure)


def test_a_legend_of_several_panels_has_each_series_once() -> None:
    figure, axes = style.panels(["one", "two"])
    for axis in axes:
        style.means(axis, POINTS, "K", "value", "loss")
    style.legend_below(figure, "title")
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["EqCo"]
    assert all(axis.get_legend() is None for axis in axes)
    plt.close(figure)


def test_no_reference_line_is_drawn_of_nothing() -> None:
    figure, (axis,) = style.panels(["one"])
    style.lines(axis, POINTS[:0], "K", "value", "loss")
    assert not axis.lines
    plt.close(figure)


@pytest.mark.parametrize(("counts", "words"), [([5, 5], "n = 5"), ([3.0, 5.0], "n = 3 to 5")])
def test_numbers_of_seeds_in_words(counts: list[float], words: str) -> None:
    assert style.seeds_in(pd.Series(counts)) == words


def test_the_theme_ends_with_the_figure(tmp_path: Path) -> None:
    before = dict(plt.rcParams)

    def draw(frame: pd.DataFrame) -> Figure:
        assert plt.rcParams["font.size"] == style.THEME["font.size"]
        return style.panels(["one"])[0]

    style.save(style.drawn(draw, POINTS), "one", tmp_path)
    assert dict(plt.rcParams) == before


def test_what_shares_a_panel_differs_without_colour() -> None:
    groups = (
        ["EqCo", "InfoNCE", "InfoNCE, full K"],
        [name for name in looks.LOOKS if name.startswith(("EqCo, alpha", "ceiling", "true"))],
        [name for name in looks.LOOKS if name.startswith(("encoder", "random"))],
        ["EqCo, K = 16", "EqCo, K = 255", "DCL, K = 16", "DCL, K = 255"],
    )
    for group in groups:
        pairs = [(looks.MARKERS[name], looks.DASHES[name]) for name in group]
        assert len(set(pairs)) == len(pairs), group


def test_a_csv_is_the_same_on_every_system(tmp_path: Path) -> None:
    style.write(pd.DataFrame({"a": [1 / 3]}), tmp_path / "new" / "a.csv")
    assert (tmp_path / "new" / "a.csv").read_bytes() == b"a\n0.333333\n"
