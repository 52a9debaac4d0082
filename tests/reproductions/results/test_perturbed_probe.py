"""The linear probe on perturbed views, measured apart from the runs."""

from __future__ import annotations

import sys
from pathlib import Path

import pandas as pd
import pytest

from eqco.artifacts.checkpoint import save
from eqco.artifacts.run_files import Run
from eqco.config import Machine
from eqco.methods import build
from eqco.recipe import Recipe
from reproductions.reports import sensitivity
from reproductions.results import perturbed_probe
from reproductions.results.evidence import committed
from reproductions.scales import SCALES
from reproductions.tables import table


def keep_checkpoint(recipe: Recipe, seed: int, folder: Path) -> Path:
    """A checkpoint of an encoder that was not trained."""
    path = Run(recipe, seed, Machine(checkpoints=folder)).checkpoint
    state = build(recipe, seed, "cpu").state_dict()
    save(path, {"digest": recipe.digest(), "seed": seed, "method": state})
    return path


def test_perturbed_views_are_harder_and_give_the_same_number_again(tmp_path: Path) -> None:
    recipe, machine = SCALES["smoke"].base, Machine(threads=1)
    path = keep_checkpoint(recipe, 3, tmp_path)
    whole, views = perturbed_probe.accuracies(path, recipe, machine)
    assert perturbed_probe.accuracies(path, recipe, machine) == (whole, views)
    chance = 100 / 10
    assert chance < views < whole


def test_each_checkpoint_of_the_table_has_a_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    row = table(1, "glyphs").rows[2]
    for seed in (0, 4):
        keep_checkpoint(row.recipe, seed, tmp_path / "kept")
    monkeypatch.setattr(
        perturbed_probe, "accuracies", lambda path, *_: (float(path.stem[-1]), 1 / 3)
    )
    out = tmp_path / "perturbed.csv"
    monkeypatch.setattr(sys, "argv", ["perturbed", str(tmp_path / "kept"), "--out", str(out)])
    perturbed_probe.main()
    digest = row.recipe.digest()
    assert out.read_text().splitlines() == [
        "scale,row,digest,seed,linear,perturbed_linear",
        f"glyphs,{row.name},{digest},0,0.0000,0.3333",
        f"glyphs,{row.name},{digest},4,4.0000,0.3333",
    ]


def test_without_checkpoints_it_ends_with_a_message_and_writes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "perturbed.csv"
    monkeypatch.setattr(sys, "argv", ["perturbed", str(tmp_path), "--out", str(out)])
    with pytest.raises(SystemExit, match="2"):
        perturbed_probe.main()
    assert "no checkpoint of table 1" in capsys.readouterr().err
    assert not out.exists()


def test_committed_accuracies_of_whole_images_are_those_of_the_records() -> None:
    found = perturbed_probe.measured()
    rows = {row.name: row for row in committed("glyphs").tables[1].rows}
    assert len(found) >= 10
    for line in found.itertuples():
        assert line.digest == rows[line.row].recipe.digest()
        recorded = committed("glyphs").values(rows[line.row])[line.seed]
        assert line.linear == pytest.approx(recorded, abs=1e-4)


def test_the_page_has_a_line_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    few, full = (row.recipe.digest() for row in sensitivity.headline("glyphs"))
    values = {few: (50.0, 51.0, 53.0), full: (52.0, 54.0, 54.0)}
    lines = [
        ("glyphs", "", digest, seed, 0.0, value)
        for digest, each in values.items()
        for seed, value in enumerate(each)
    ]
    made = pd.DataFrame(lines, columns=perturbed_probe.NAMES)
    monkeypatch.setattr(perturbed_probe, "measured", lambda: made)
    found = sensitivity.headline_pair("glyphs", sensitivity.PERTURBED)
    assert (found.n, found.effect, found.sd) == (3, -2.0, 1.0)
    assert "| linear probe, perturbed | 3 | -2.00 |" in sensitivity.section()
