"""The page of the sweep, whole, in part and without any run."""

from __future__ import annotations

from reproductions.experiments import grid
from reproductions.reports import sweep
from reproductions.scales import SCALES
from tests import synthetic
from tests.reproductions.conftest import Commit

SCALE = SCALES["glyphs"]


def test_a_whole_sweep_has_a_grid_for_each_method(commit: Commit) -> None:
    commit(synthetic.records_of([], seeds=grid.GRID_SEEDS))
    for name in ("metrics", "fixed", "best", "diagnostics"):
        text = sweep.SECTIONS[name]()
        for title in ("SiMo", "MoCo v2", "SimCLR"):
            assert f"### {title}, scale glyphs\n" in text
        assert "not run" not in text
    rates = len(grid.RATES) * 3 + len(grid.METHOD_RATES) * 2
    assert sweep.SECTIONS["fixed"]().count(" [") == 3 * rates
    assert "Scale glyphs: 455 of 455 runs of 5 seeds." in sweep.count()


def test_a_sweep_in_part_says_what_was_not_run(commit: Commit) -> None:
    recipes = grid.baselines(SCALE, SCALE.base)[: len(grid.RATES)]
    commit([synthetic.record(recipe, seed) for recipe in recipes for seed in range(2)])
    text = sweep.SECTIONS["metrics"]()
    assert text.count("### ") == 1 + text.count("#### ")
    assert text.count("| InfoNCE | 255 | ") == text.count("#### ")
    assert "EqCo" not in text
    assert "14 of 455 runs" in sweep.count()
    assert "`python -m reproductions sweep --parts baselines grid --seeds 5" in sweep.count()
    assert sweep.SECTIONS["fixed"]() == "### SiMo, scale glyphs\n\nNot run."
    lines = sweep.SECTIONS["methods"]().splitlines()
    assert "**" in lines[2]
    assert lines[3].count("not run") == len(grid.METHOD_RATES)


def test_without_runs_the_sections_name_the_command(commit: Commit) -> None:
    commit([])
    for name in ("count", "metrics", "fixed", "best", "diagnostics"):
        assert "0 of 455 runs of 5 seeds. Not run: 455; `python -m" in sweep.SECTIONS[name]()
    assert "not run" in sweep.SECTIONS["methods"]()
