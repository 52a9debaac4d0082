"""The table as a user drives it: selection, cache, bad input, judging of evidence."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from eqco import record as records
from eqco.recipe import SCALES, Recipe
from reproductions import status, sweep, table1
from reproductions.conftest import TABLES
from reproductions.tables import baseline

ROOT = Path(__file__).parent.parent


def pytest_on(tmp_path: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """`pytest reproductions` with records and checkpoints in `tmp_path`."""
    folders = [f"--{name}={tmp_path / name}" for name in ("records", "checkpoints")]
    options = [*folders, "-p", "no:cacheprovider"]
    return subprocess.run(
        [sys.executable, "-m", "pytest", "reproductions", *options, *words],
        cwd=ROOT, capture_output=True, text=True, check=False, env={**os.environ, "COLUMNS": "80"},
    )  # fmt: skip


def test_rows_differ_from_the_baseline_in_loss_k_and_alpha_alone() -> None:
    base = SCALES["glyphs"].base
    for recipe in table1.rows("glyphs").values():
        different = {name for name in vars(base) if getattr(base, name) != getattr(recipe, name)}
        assert different <= {"loss", "num_negatives", "alpha"}


@pytest.mark.parametrize("scale", sorted(SCALES))
@pytest.mark.parametrize("number", sorted(TABLES))
def test_every_claim_is_about_two_rows_of_its_table(number: int, scale: str) -> None:
    rows = TABLES[number].rows(scale)
    claims = TABLES[number].claims(scale)
    assert claims
    for claim in claims.values():
        assert {claim.left, claim.right} <= rows.keys()
        assert rows[claim.left] != rows[claim.right]


def test_failures_that_are_expected_name_claims_and_numbers() -> None:
    for table in TABLES.values():
        for (scale, claim), why in table.FAILS.items():
            assert claim in table.claims(scale)
            assert "n=" in why


@pytest.mark.parametrize("method", ["simo", "moco", "simclr"])
def test_a_baseline_is_infonce_with_all_negatives(method: str) -> None:
    full = baseline("glyphs", method)
    assert (full.method, full.loss) == (method, "infonce")
    assert full.num_negatives == full.available()


@pytest.mark.parametrize(
    ("words", "count"),
    [
        ("table1", 17),
        ("table1 and k16", 5),
        ("table1 and infonce-k255", 1),
        ("test_cell and table1", 8),
        ("table2 and moco", 16),
        ("table3", 7),
        ("table4", 16),
        ("table5", 16),
        ("table6", 16),
    ],
)
def test_k_selects_cells_and_claims(words: str, count: int, tmp_path: Path) -> None:
    done = pytest_on(tmp_path, "-k", words, "--collect-only", "-q")
    assert sum("::" in line for line in done.stdout.splitlines()) == count


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--scale", "glyph"], "unknown scale 'glyph': did you mean glyphs"),
        (["--run", "sometimes"], "unknown --run policy 'sometimes'"),
        (["--seeds", "0"], "--seeds must be a whole number above 0"),
        (["--scale", "photos"], "needs --data folder:PATH"),
        (["--scale", "photos", "--data", "folder:/nowhere"], "/nowhere does not exist"),
        (["--data", "folder:."], "goes with --scale photos"),
        (["--device", "cuda:99"], "--device cuda:99"),
    ],
)
def test_a_wrong_option_is_one_sentence_before_any_work(
    words: list[str], sentence: str, tmp_path: Path
) -> None:
    done = pytest_on(tmp_path, *words)
    assert done.returncode == 4
    assert sentence in done.stdout + done.stderr
    assert "Traceback" not in done.stdout + done.stderr
    assert not (tmp_path / "records").exists()


def test_never_trains_nothing_and_says_what_is_missing(tmp_path: Path) -> None:
    done = pytest_on(tmp_path, "--run", "never", "--scale", "smoke")
    assert done.returncode == 0
    for table, cells in ((1, 6), (2, 6), (3, 5), (4, 6), (5, 10), (6, 8)):
        assert f"table {table}: 0 of {cells} cells measured" in done.stdout
    assert not (tmp_path / "records").exists()


def test_a_second_call_takes_the_records_of_the_first(tmp_path: Path) -> None:
    words = ["--scale", "smoke", "-k", "test_cell and table1 and infonce-k16", "--threads", "1"]
    first = pytest_on(tmp_path, *words)
    assert "1 passed" in first.stdout, first.stdout + first.stderr
    assert "table 1: 1 of 6 cells measured" in first.stdout
    written = {p: p.stat().st_mtime_ns for p in (tmp_path / "records" / "smoke").glob("*.json")}
    assert len(written) == 2  # the row, and the untrained backbone
    second = pytest_on(tmp_path, *words)
    assert "1 passed" in second.stdout
    assert {p: p.stat().st_mtime_ns for p in written} == written


def test_an_edited_record_fails_the_cell_by_name(tmp_path: Path) -> None:
    words = ["--scale", "smoke", "-k", "test_cell and table1 and infonce-k16", "--threads", "1"]
    pytest_on(tmp_path, *words)
    for path in (tmp_path / "records" / "smoke").glob("*k16*.json"):
        text = json.loads(path.read_text(encoding="utf-8"))
        text["metrics"]["linear"] = 99.9
        path.write_text(json.dumps(text), encoding="utf-8")
    done = pytest_on(tmp_path, *words)
    assert done.returncode != 0
    assert "it was edited" in done.stdout


@pytest.mark.parametrize("scale", ["glyphs", "photos"])
def test_committed_records_are_whole_and_of_todays_recipes(scale: str) -> None:
    folder = ROOT / "reproductions" / "records" / scale
    found = records.read_all(folder) if folder.is_dir() else []
    if not found:
        pytest.skip(f"no records of scale {scale} are committed")
    for record in found:
        recipe = Recipe.of(record["recipe"])
        assert record["run_id"] == recipe.run_id(record["seed"])


def test_pages_say_what_the_records_say() -> None:
    assert status.main(["--check"]) == 0, "run python -m reproductions.status and commit"


def test_the_sweep_covers_two_decades_of_learning_rates() -> None:
    assert len(sweep.RATES) >= 6
    assert max(sweep.RATES) / min(sweep.RATES) >= 99
    recipes = {job.run_id for job in sweep.jobs(5)}
    grid, more_seeds, untrained, rates = 6 * 8 * 3, 2 * 8, 5, 4
    others = 3 * (7 + 5 + 10 + 6 + 4)  # MoCo, SimCLR, alpha, family, shared
    assert len(recipes) == grid + more_seeds + untrained + rates + others


def test_prediction_interval_of_a_row_reads_its_evidence() -> None:
    folder = ROOT / "reproductions" / "records" / "glyphs"
    base = SCALES["glyphs"].base
    assert records.find(folder, base, 0) is not None, "the baseline's evidence is missing"
