"""Tables of a user's records beside the committed numbers."""

from __future__ import annotations

import io
import shutil
import subprocess
from collections.abc import Callable
from itertools import product
from pathlib import Path
from shutil import which

import pandas as pd
import pytest

from eqco.artifacts.record import Record, now
from eqco.config import Machine
from reproductions.results.evidence import committed
from reproductions.tables import TABLES, table
from tests.conftest import Command


@pytest.fixture
def records(tmp_path: Path) -> Path:
    """Two seeds of the first row of table 1 at scale smoke."""
    recipe = table(1, "smoke").rows[0].recipe
    for seed, value in enumerate((50.0, 52.0)):
        metrics = {"linear": value, "knn": value - 10}
        Record.of(recipe, seed, Machine(), now(), metrics=metrics).write(tmp_path / "smoke")
    return tmp_path


@pytest.mark.parametrize("inner", ["", "smoke"])
def test_a_cell_has_mean_spread_and_seeds(
    inner: str, records: Path, run_reproductions: Command
) -> None:
    words = ["table", "--scale", "smoke", "--records", records / inner]
    csv = run_reproductions(*words, "--tables", "1", "--format", "csv")
    cells = pd.read_csv(io.StringIO(csv)).set_index("metric")
    assert list(cells["row"].unique()) == [table(1, "smoke").rows[0].name]
    assert cells.loc["linear", ["n", "mean"]].tolist() == [2, 51.0]
    assert cells.loc["knn", "sd"] == pytest.approx(2**0.5)
    text = run_reproductions(*words)  # tables without a number of the user's are left out
    assert "51.0 ± 1.4 (2)" in text
    assert 1 <= text.count("**Table ") < 10


@pytest.mark.parametrize("read", [pd.read_csv, pd.read_json, pd.read_parquet])
def test_committed_results_are_read_back_with_their_verdicts(
    read: Callable[..., pd.DataFrame], tmp_path: Path, run_reproductions: Command
) -> None:
    form, out = read.__name__.removeprefix("read_"), tmp_path / "out"
    if form == "parquet":
        pytest.importorskip("pyarrow")
    words = ["table", "--tables", "1", "2", "--format", form, "--out", out]
    run_reproductions(*words, "--claims")
    claims = read(out).set_index(["table", "claim", "metric"])
    verdicts = committed("glyphs").verdicts
    for (number, name, metric), line in claims.iterrows():
        verdict = verdicts[number][name][metric]
        assert line["verdict"] == verdict.status
        assert line[["estimate", "low", "high"]].tolist() == pytest.approx(
            [verdict.mean, verdict.low, verdict.high]
        )
    assert len(claims) == 2 * sum(map(len, (verdicts[1], verdicts[2])))
    run_reproductions(*words, "--runs")
    runs = read(out)
    assert len(runs) == sum(len(committed("glyphs").table_runs(number)) for number in (1, 2))
    assert not runs.duplicated(["table", "row", "seed"]).any()


@pytest.mark.skipif(which("pdflatex") is None, reason="pdflatex is not installed")
@pytest.mark.parametrize("columns", ["", "twocolumn"])
@pytest.mark.parametrize("kind", [[], ["--claims"], ["--records", "1"], ["--records", "5"]])
def test_latex_compiles_and_fits_a_column(
    kind: list[str], columns: str, tmp_path: Path, run_reproductions: Command
) -> None:
    for seeds in map(int, kind[1:]):  # records beside the committed ones, in a folder of that name
        recipes = {row.recipe for number in TABLES for row in table(number, "glyphs").rows}
        for (place, recipe), seed in product(enumerate(recipes), range(seeds)):
            value = 70.0 + seed + place / 10  # a column of equal cells would go into the caption
            metrics = {"linear": value, "knn": value - 3}
            made = Record.of(recipe, seed, Machine(), now(), metrics=metrics)
            made.write(tmp_path / kind[1] / "glyphs")
    run_reproductions("table", "--format", "latex", "--out", tmp_path / "t.tex", *kind)
    text = f"\\documentclass[{columns}]{{article}}\\usepackage{{booktabs,array}}"
    text += "\\begin{document}\\input{t}\\end{document}"
    (tmp_path / "d.tex").write_text(text, encoding="utf-8")
    words = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "d.tex"]
    done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
    assert "Overfull" not in done.stdout


def test_without_a_folder_the_committed_records_are_shown(run_reproductions: Command) -> None:
    assert "committed" not in run_reproductions("table", "--tables", "1")
    error = run_reproductions("table", "--scale", "smoke", status=2)
    assert "holds no record of scale smoke: there are some of glyphs" in error
    run_reproductions("table", "--tables", "1", "--out", "cells.csv")
    assert {"scale", "table"} <= set(pd.read_csv("cells.csv"))  # a name's ending is the format


def test_what_cannot_be_shown_is_named(
    records: Path, tmp_path: Path, run_reproductions: Command
) -> None:
    def error(*words: object) -> str:
        return run_reproductions("table", *words, status=2)

    assert "is for readers: take csv, json or parquet" in error("--runs", "--format", "latex")
    assert "two tables: give one of them" in error("--runs", "--claims")
    assert "--format parquet is binary: add --out FILE" in error("--format", "parquet")
    assert "is not a folder" in error("--records", tmp_path / "none")
    sentence = "holds no record of scale glyphs: there are some of smoke, and pytest"
    assert sentence in error("--records", records)
    shutil.copytree(records / "smoke", tmp_path / "other" / "glyphs")
    assert "none of the 2 records" in error("--records", tmp_path / "other")
