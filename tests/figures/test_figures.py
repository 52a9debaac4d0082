"""Figures: tidy data, truths that hold, and pictures in which all can be read."""

from __future__ import annotations

import ast
import itertools
import re
import shutil
import sys
from collections.abc import Iterator
from functools import cache
from importlib import import_module
from io import StringIO
from pathlib import Path

import matplotlib.image
import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import CSS4_COLORS
from matplotlib.figure import Figure
from matplotlib.text import Text

from figures import __main__ as suite
from figures import style
from figures.__main__ import FIGURES
from figures.style import DPI, OUT, drawn, save
from reproductions.reports.figures import PICTURES
from reproductions.statistics import verdicts
from reproductions.tables import table
from tests import synthetic
from tests.processes import ROOT, python

LOOKS = {"color", "palette", "marker", "dashes", "linestyle", "linewidth", "fontsize", "figsize"}


@pytest.fixture(scope="module", autouse=True)
def stand_ins(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Records of tables and the sweep that nobody ran, so that every figure can be drawn."""
    folder = tmp_path_factory.mktemp("out")
    for path in OUT.glob("*.csv"):
        shutil.copy(path, folder)
    rows = {row.name: row.recipe.digest() for row in table(1, "glyphs").rows}
    encoders = pd.read_csv(OUT / "diagnoses.csv").query("scale == 'glyphs'")
    encoders = encoders.assign(digest=encoders["encoder"].map(rows))
    encoders.to_csv(folder / "diagnoses.csv", index=False)
    with pytest.MonkeyPatch.context() as patch:
        synthetic.commit(patch, synthetic.records_of())
        patch.setattr(style, "OUT", folder)
        yield
    synthetic.forget()


@cache
def committed(name: str) -> pd.DataFrame:
    """The CSV of a figure; where it has none, for lack of records, that of the stand-ins."""
    if (OUT / f"{name}.csv").exists():
        return pd.read_csv(OUT / f"{name}.csv")
    return pd.read_csv(StringIO(import_module(f"figures.{name}").compute().to_csv(index=False)))


@cache
def figure_of(name: str) -> Figure:
    """The figure of the CSV, laid out."""
    figure = drawn(import_module(f"figures.{name}").draw, committed(name))
    figure.canvas.draw()
    return figure


@cache
def saved(name: str) -> Path:
    """The figure of the CSV as a PNG, beside its PDF."""
    save(drawn(import_module(f"figures.{name}").draw, committed(name)), name, style.OUT)
    return style.OUT / f"{name}.png"


def labels_of_ticks(figure: Figure) -> Iterator[tuple[Text, bool]]:
    """Tick labels, and whether their tick lies in view."""
    for side in (side for axes in figure.axes for side in (axes.xaxis, axes.yaxis)):
        low, high = sorted(side.get_view_interval())
        for tick in [*side.get_major_ticks(), *side.get_minor_ticks()]:
            seen = low <= tick.get_loc() <= high
            yield from ((label, seen) for label in (tick.label1, tick.label2))


def texts_of(figure: Figure) -> list[Text]:
    """All texts that are seen."""
    hidden = {id(label) for label, seen in labels_of_ticks(figure) if not seen}
    found = [text for text in figure.findobj(Text) if text.get_visible() and text.get_text()]
    return [text for text in found if id(text) not in hidden]


@pytest.mark.parametrize("name", FIGURES)
def test_the_data_of_a_figure_has_no_line_twice(name: str) -> None:
    frame = committed(name)
    assert len(frame) >= 9
    assert not frame.duplicated().any()


@pytest.mark.parametrize("name", FIGURES)
def test_a_figure_is_drawn_at_its_size_and_is_small(name: str) -> None:
    width, height = figure_of(name).get_size_inches()
    picture = matplotlib.image.imread(saved(name))[..., :3]
    assert width == pytest.approx(6.8)
    assert picture.shape[:2] == (round(height * DPI), round(width * DPI))
    assert 0.01 < (picture.min(axis=2) < 0.9).mean() < 0.6
    assert saved(name).with_suffix(".pdf").read_bytes().startswith(b"%PDF")
    for ending in ("png", "pdf"):
        assert saved(name).with_suffix(f".{ending}").stat().st_size < 400_000
        if (OUT / f"{name}.csv").exists():
            assert (OUT / f"{name}.{ending}").stat().st_size < 400_000


@pytest.mark.parametrize("name", FIGURES)
def test_the_same_figure_gives_the_same_bytes(name: str, tmp_path: Path) -> None:
    save(drawn(import_module(f"figures.{name}").draw, committed(name)), name, tmp_path)
    for ending in ("png", "pdf"):
        one = saved(name).with_suffix(f".{ending}")
        assert one.read_bytes() == (tmp_path / one.name).read_bytes()


def test_settings_of_the_user_change_no_figure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = tmp_path / "matplotlibrc"
    settings.write_text("lines.linewidth: 9\nfont.size: 20\nsavefig.bbox: tight\n")
    user = {"MPLBACKEND": "module://matplotlib_inline.backend_inline", "LC_ALL": "C"}
    for name, given in (("users", {"MATPLOTLIBRC": str(settings), **user}), ("own", {})):
        python("-m", "figures.law", "--out", tmp_path / name, **given)
    for ending in ("csv", "png", "pdf"):
        one, other = (tmp_path / name / f"law.{ending}" for name in ("users", "own"))
        assert one.read_bytes() == other.read_bytes()


@pytest.mark.parametrize("name", FIGURES)
def test_no_panel_is_blank(name: str) -> None:
    figure = figure_of(name)
    pixels = np.asarray(figure.canvas.buffer_rgba())[::-1, :, :3]  # type: ignore[attr-defined]
    for axes in figure.axes:
        (left, low), (right, high) = axes.get_window_extent().get_points().astype(int)
        inside = pixels[low + 3 : high - 3, left + 3 : right - 3]
        assert axes.axison
        assert (inside.min(axis=2) < 200).mean() > 0.002, axes.get_title()


@pytest.mark.parametrize("name", FIGURES)
def test_a_legend_has_each_label_once(name: str) -> None:
    figure = figure_of(name)
    legends = [*figure.legends, *(axes.get_legend() for axes in figure.axes)]
    found = [[text.get_text() for text in each.get_texts()] for each in legends if each]
    assert found
    assert all(len(set(labels)) == len(labels) for labels in found)


@pytest.mark.parametrize("name", FIGURES)
def test_texts_are_large_enough_and_neither_cut_nor_touching(name: str) -> None:
    figure = figure_of(name)
    texts = texts_of(figure)
    assert min(float(text.get_fontsize()) for text in texts) >= 5.5
    for text in texts:
        box = text.get_window_extent()
        assert figure.bbox.x0 <= box.x0 < box.x1 <= figure.bbox.x1, text
        assert figure.bbox.y0 <= box.y0 < box.y1 <= figure.bbox.y1, text
    boxes = [(text.get_text(), text.get_window_extent()) for text in texts]
    pairs = itertools.combinations(boxes, 2)
    assert [(one, two) for (one, a), (two, b) in pairs if a.overlaps(b)] == []


def test_the_intervals_drawn_are_those_of_the_verdicts_and_inside_their_panels() -> None:
    frame = committed("learning_rate")
    for axes in figure_of("learning_rate").axes:
        method, _, k = axes.get_title().partition(", K = ")
        part = frame[(frame["method"] == method) & (frame["num_negatives"] == int(k))]
        cells = [cell for _, cell in part.groupby(["loss", "learning_rate"])["linear"]]
        wanted = sorted(verdicts.mean_interval(cell.to_numpy()) for cell in cells if len(cell) > 1)
        segments = [
            segment[:, 1]
            for bars in axes.containers
            for segment in bars.get_children()[-1].get_segments()  # type: ignore[attr-defined]
            if len(segment)  # a single seed has no interval
        ]
        np.testing.assert_allclose(sorted(map(tuple, segments)), wanted)
        bottom, top = axes.get_ylim()
        assert bottom < np.min(segments) <= np.max(segments) < top


@pytest.mark.parametrize("name", FIGURES)
def test_a_script_leaves_looks_to_the_style(name: str) -> None:
    text = (ROOT / "figures" / f"{name}.py").read_text(encoding="utf-8")
    nodes = list(ast.walk(ast.parse(text)))
    strings = {n.value for n in nodes if isinstance(n, ast.Constant) and isinstance(n.value, str)}
    keywords = {node.arg for node in nodes if isinstance(node, ast.keyword)}
    assert not strings & CSS4_COLORS.keys()
    assert not [each for each in strings if re.fullmatch(r"#[0-9a-fA-F]{3,8}|0?\.\d+", each)]
    assert not keywords & LOOKS


def test_published_values_are_labelled_with_method_and_number() -> None:
    texts = {text.get_text() for text in figure_of("accuracy_vs_k").findobj(Text)}
    assert {"SiMo 68.0", "SimCLR 67.3", "MoCo v2 67.5"} <= texts


@pytest.mark.parametrize("name", sorted(PICTURES))
def test_without_records_a_sentence_says_what_is_missing_and_the_old_figure_goes(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    script = import_module(f"figures.{name}")
    with monkeypatch.context() as patch:
        synthetic.commit(patch, [])
        patch.setattr(sys, "argv", [name, "--out", str(tmp_path)])
        for ending in ("csv", "png", "pdf"):
            (tmp_path / f"{name}.{ending}").write_text("of older records", encoding="utf-8")
        style.build(script.compute, script.draw, lambda: "not run: `a command`")
    synthetic.forget()
    assert list(tmp_path.iterdir()) == []
    expected = f"{name}: not drawn, too few records are behind it; not run: `a command`\n"
    assert capsys.readouterr().out == expected


def test_predictions_of_table_7_are_drawn_hollow_beside_what_was_measured() -> None:
    axes = figure_of("noise_or_bias").axes[0]
    hollow = axes.collections[-1].get_facecolor()
    np.testing.assert_array_equal(hollow[:, :3], np.ones((len(hollow), 3)))


def test_a_failing_figure_does_not_stop_the_rest(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(suite, "FIGURES", ["missing", "absent"])
    monkeypatch.setattr(sys, "argv", ["figures"])
    assert suite.main() == 1
    assert "failed: missing, absent" in capfd.readouterr().err


def test_the_gallery_shows_every_figure() -> None:
    gallery = (ROOT / "figures" / "README.md").read_text(encoding="utf-8")
    for name in FIGURES:
        drawn_there = (OUT / f"{name}.png").exists()
        assert (f"(out/{name}.png)" in gallery) == drawn_there
        assert (f"`python -m figures.{name}` says which" in gallery) != drawn_there
