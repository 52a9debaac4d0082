"""The table as a user drives it: selection, cache, bad input, judging of evidence."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from eqco import record as records
from eqco.recipe import SCALES, Recipe
from eqco.report import published_of
from reproductions import status as pages
from reproductions import sweep, table1
from reproductions.conftest import contradictions
from reproductions.session import TABLES
from reproductions.tables import baseline

Outcomes = list[tuple[int, str]]
Sessions = Callable[[list[list[str]], Path], Outcomes]
ROOT = Path(__file__).parent.parent


@pytest.fixture
def pytest_on(tmp_path: Path, sessions: Sessions) -> Callable[..., tuple[int, str]]:
    """Status and output of `pytest reproductions WORDS`, records and checkpoints in `tmp_path`."""
    return lambda *words: sessions([["reproductions", *words]], tmp_path)[0]


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
    found = contradictions("glyphs")
    assert found
    for (number, claim), why in found.items():
        assert claim in TABLES[number].claims("glyphs")
        assert why.startswith("contradicted: ")
        assert "n=" in why


@pytest.mark.parametrize("method", ["simo", "moco", "simclr"])
def test_a_baseline_is_infonce_with_all_negatives(method: str) -> None:
    full = baseline("glyphs", method)
    assert (full.method, full.loss) == (method, "infonce")
    assert full.num_negatives == full.available()


SELECTIONS = {
    "table1": 17,
    "table1 and k16": 5,
    "table1 and infonce-k255": 1,
    "test_cell and table1": 8,
    "table2 and moco": 16,
    "table3": 7,
    "table4": 16,
    "table5": 16,
    "table6": 16,
}
MISTAKES = {
    "unknown scale 'glyph': did you mean glyphs": ["--scale", "glyph"],
    "unknown --run policy 'sometimes'": ["--run", "sometimes"],
    "--seeds must be a whole number above 0": ["--seeds", "0"],
    "needs --data folder:PATH": ["--scale", "photos"],
    "/nowhere does not exist": ["--scale", "photos", "--data", "folder:/nowhere"],
    "goes with --scale photos": ["--data", "folder:."],
    "--data part:PATH goes with --scale imagenet": ["--scale=photos", "--data=part:/x"],
    "this scale needs --data folder:PATH": ["--scale", "imagenet"],
    "--workers must be a whole number above 0": ["--workers", "few"],
    "--device cuda:99": ["--device", "cuda:99"],
    "unknown launcher 'torchrunn': did you mean torchrun": ["--launcher", "torchrunn"],
    "--processes 2 needs --launcher torchrun or slurm": ["--processes", "2"],
    "of slurm are NAME=VALUE, got ('gpu',)": ["--launcher=slurm", "--launcher-options=gpu"],
    "--run always works in this process only": ["--launcher=torchrun", "--run=always"],
}


@pytest.fixture(scope="module")
def options(
    tmp_path_factory: pytest.TempPathFactory, sessions: Sessions
) -> tuple[dict[str, tuple[int, str]], Path]:
    """Outcomes of all selections and mistakes, and the folder they could have written to."""
    folder = tmp_path_factory.mktemp("options")
    cases = [["-k", words, "--collect-only", "-q"] for words in SELECTIONS]
    cases += MISTAKES.values()
    outcomes = sessions([["reproductions", *each] for each in cases], folder)
    return dict(zip([*SELECTIONS, *MISTAKES], outcomes, strict=True)), folder


@pytest.mark.parametrize(("words", "count"), SELECTIONS.items())
def test_k_selects_cells_and_claims(
    words: str, count: int, options: tuple[dict[str, tuple[int, str]], Path]
) -> None:
    assert sum("::" in line for line in options[0][words][1].splitlines()) == count


@pytest.mark.parametrize("sentence", MISTAKES)
def test_a_wrong_option_is_one_sentence_before_any_work(
    sentence: str, options: tuple[dict[str, tuple[int, str]], Path]
) -> None:
    outcomes, folder = options
    status, text = outcomes[sentence]
    assert status == 4
    assert sentence in text
    assert "Traceback" not in text
    assert not (folder / "records").exists()


def test_never_trains_nothing_and_says_what_is_missing(
    tmp_path: Path, pytest_on: Callable[..., tuple[int, str]]
) -> None:
    status, text = pytest_on("--run", "never", "--scale", "smoke")
    assert status == 0
    for table, cells in ((1, 6), (2, 6), (3, 5), (4, 6), (5, 10), (6, 8)):
        assert f"table {table}: 0 of {cells} cells measured" in text
    assert not (tmp_path / "records").exists()


def test_a_second_call_takes_the_records_of_the_first(
    tmp_path: Path, pytest_on: Callable[..., tuple[int, str]]
) -> None:
    words = ["--scale", "smoke", "-k", "test_cell and table1 and infonce-k16", "--threads", "1"]
    _, first = pytest_on(*words)
    assert "1 passed" in first, first
    assert "table 1: 1 of 6 cells measured" in first
    written = {p: p.stat().st_mtime_ns for p in (tmp_path / "records" / "smoke").glob("*.json")}
    assert len(written) == 2  # the row, and the untrained backbone
    _, second = pytest_on(*words)
    assert "1 passed" in second
    assert {p: p.stat().st_mtime_ns for p in written} == written


def test_torchrun_does_a_cell_with_two_processes(
    tmp_path: Path, pytest_on: Callable[..., tuple[int, str]]
) -> None:
    words = ["--scale", "smoke", "-k", "test_cell and table1 and eqco-k16", "--threads", "1"]
    status, text = pytest_on(*words, "--launcher", "torchrun", "--processes", "2")
    assert status == 0, text
    (found,) = (tmp_path / "records" / "smoke").glob("simo-eqco-k16-*.json")
    assert json.loads(found.read_text(encoding="utf-8"))["machine"]["processes"] == 2


def test_an_edited_record_fails_the_cell_by_name(
    tmp_path: Path, pytest_on: Callable[..., tuple[int, str]]
) -> None:
    words = ["--scale", "smoke", "-k", "test_cell and table1 and infonce-k16", "--threads", "1"]
    pytest_on(*words)
    for path in (tmp_path / "records" / "smoke").glob("*k16*.json"):
        text = json.loads(path.read_text(encoding="utf-8"))
        text["metrics"]["linear"] = 99.9
        path.write_text(json.dumps(text), encoding="utf-8")
    status, text = pytest_on(*words)
    assert status != 0
    assert "table 1 is not shown: record" in text
    assert "it was edited" in text


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
    assert pages.main(["--check"]) == 0, "run python -m reproductions.status and commit"


def test_the_sweep_covers_two_decades_of_learning_rates() -> None:
    assert len(sweep.RATES) >= 6
    assert max(sweep.RATES) / min(sweep.RATES) >= 99
    recipes = {job.run_id for job in sweep.jobs(5)}
    grid, more_seeds, untrained, rates = 6 * 8 * 3, 2 * 8, 5, 4
    others = 5 * (7 + 5 + 10 + 6 + 4)  # MoCo, SimCLR, alpha, family, shared
    assert len(recipes) == grid + more_seeds + untrained + rates + others


def test_prediction_interval_of_a_row_reads_its_evidence() -> None:
    folder = ROOT / "reproductions" / "records" / "glyphs"
    base = SCALES["glyphs"].base
    assert records.find(folder, base, 0) is not None, "the baseline's evidence is missing"


def test_a_records_folder_that_cannot_be_written_is_one_sentence(
    tmp_path: Path, pytest_on: Callable[..., tuple[int, str]]
) -> None:
    (tmp_path / "records").write_text("a file", encoding="utf-8")
    status, text = pytest_on("--scale", "smoke", "-k", "table1")
    assert status == 4
    assert "records/smoke cannot be written" in text.replace("\n", "")
    assert "Traceback" not in text
    assert not (tmp_path / "checkpoints").exists()


def test_published_numbers_are_judged_on_imagenet_alone() -> None:
    from reproductions.test_tables import PAPER

    found = {
        (number, row): published_of(PAPER, number, row)
        for number, table in TABLES.items()
        for row in table.rows("imagenet")
    }
    known = {case: number.value for case, number in found.items() if number}
    assert known == {
        (1, "simo-infonce-k255"): 68.036,
        (2, "simclr-infonce-k510"): 67.286,
        (3, "simo-infonce-k255"): 68.036,
        (3, "simclr-infonce-k510"): 67.286,
        (3, "moco-infonce-k65536"): 67.5,
    }
    moco = found[3, "moco-infonce-k65536"]
    assert moco is not None
    assert moco.trials == 5
