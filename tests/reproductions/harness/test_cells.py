"""Cells and claims of `pytest reproductions`: selection, records, launchers, closing tables."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from eqco.artifacts.record import Record, now
from eqco.config import Machine
from eqco.engine.run import untrained
from reproductions import conftest
from reproductions.harness.session import Session
from reproductions.reports.grids import CONTRADICTED, verdicts_in
from reproductions.results import published
from reproductions.results.evidence import committed
from reproductions.results.records import RECORDS
from reproductions.scales import SCALES
from reproductions.tables import TABLES, table
from reproductions.tables.claims import seed_counts
from tests.conftest import Outcome, Sessions, passed
from tests.reproductions.conftest import Commit
from tests.synthetic import make_record

Ran = tuple[dict[str, Outcome], Path]  # sessions by name, and their folder
EDITED = table(2, "smoke").row("moco-infonce-k16").recipe  # its record is
SELECTIONS = [
    "table1", "table1 and k16", "table1 and infonce-k255", "test_cell and table1",
    "table2 and moco", "table3", "table4", "table5", "table6",
    "table7", "table8 and jackknife", "table9-simo-eqco", "table10 and sogclr", "test_published",
]  # fmt: skip


def ids(scale: str) -> list[str]:
    """Ids of all tests of the tables, at a scale without published numbers."""
    parts = {
        "cell": [f"table{n}-{row.name}" for n in TABLES for row in table(n, scale).rows],
        "published": ["needs-imagenet"],
        "claim": [f"table{n}-{claim.name}" for n in TABLES for claim in table(n, scale).claims],
    }
    start = "reproductions/test_tables.py::test_"
    return [f"{start}{kind}[{name}]" for kind, names in parts.items() for name in names]


@pytest.fixture(scope="module")
def without_records(tmp_path_factory: pytest.TempPathFactory, sessions: Sessions) -> Ran:
    """Sessions that cannot write records, because a file has the name of the folder."""
    folder = tmp_path_factory.mktemp("blocked")
    (folder / "records").write_text("a file", encoding="utf-8")
    words = {selection: ["-k", selection, "--collect-only", "-q"] for selection in SELECTIONS}
    words["missing"] = ["--scale", "smoke", "-k", "table1"]
    outcomes = sessions([["reproductions", *line] for line in words.values()], folder)
    return dict(zip(words, outcomes, strict=True)), folder


@pytest.mark.parametrize("words", SELECTIONS)
def test_k_selects_cells_and_claims(words: str, without_records: Ran) -> None:
    _, text = without_records[0][words]
    selected = [line for line in text.splitlines() if "::" in line]
    wanted = [f"{word}-" if word.startswith("table") else word for word in words.split(" and ")]
    assert selected == [i for i in ids("glyphs") if all(word in i for word in wanted)] != []


def test_a_records_folder_that_cannot_be_written_is_an_error_of_one_sentence(
    without_records: Ran,
) -> None:
    outcomes, folder = without_records
    status, text = outcomes["missing"]
    assert status == 4
    assert "records/smoke cannot be written" in text.replace("\n", "")
    assert "Traceback" not in text
    assert not (folder / "checkpoints").exists()


@pytest.fixture(scope="module")
def smoke(tmp_path_factory: pytest.TempPathFactory, sessions: Sessions) -> Ran:
    """Sessions of cells one after the other, and the folder that they share."""
    folder = tmp_path_factory.mktemp("smoke")
    edited = make_record(EDITED, 0, 80.0).write(folder / "records" / "smoke")
    edited.write_text(edited.read_text(encoding="utf-8").replace("80.0", "99.9"), encoding="utf-8")
    words = {
        "first": ["-k", "table1-simo-infonce-k16", "-p", "tests.programs.list_records"],
        "second": ["-k", "table1-simo-infonce-k16", "-p", "tests.programs.list_records"],
        "torchrun": ["-k", "table1-simo-eqco-k16", "--launcher=torchrun", "--processes=2"],
        "edited": ["-k", "test_cell and table2-moco-infonce-k16"],
    }
    outcomes = sessions(
        [["reproductions", "--scale=smoke", "--threads=1", *w] for w in words.values()], folder
    )
    return dict(zip(words, outcomes, strict=True)), folder


def records_listed(text: str) -> dict[str, str]:
    """Names and times of the records that a session found at its end."""
    lines = (line.split() for line in text.splitlines() if line.startswith("record "))
    return {name: when for _, name, when in lines}


def test_a_cell_writes_the_records_of_its_row_and_of_the_untrained_backbone(smoke: Ran) -> None:
    text = passed(smoke[0]["first"])
    assert "1 passed" in text
    assert f"table 1: 1 of {len(table(1, 'smoke').rows)} cells measured" in text
    row = table(1, "smoke").row("simo-infonce-k16").recipe
    recipes = (row, untrained(SCALES["smoke"].base), EDITED)
    expected = {f"{recipe.run_id(0)}.json" for recipe in recipes}
    assert records_listed(text).keys() == expected


def test_a_second_session_uses_the_records_of_the_first(smoke: Ran) -> None:
    second = passed(smoke[0]["second"])
    assert "1 passed" in second
    assert records_listed(second) == records_listed(smoke[0]["first"][1]) != {}


def test_torchrun_runs_a_cell_with_two_processes(smoke: Ran) -> None:
    outcomes, folder = smoke
    assert "1 passed" in passed(outcomes["torchrun"])
    (file,) = (folder / "records" / "smoke").glob("simo-eqco-k16-*.json")
    assert json.loads(file.read_text(encoding="utf-8"))["machine"]["processes"] == 2


def test_an_edited_record_fails_the_cell_and_is_named(smoke: Ran) -> None:
    status, text = smoke[0]["edited"]
    assert status == 1
    assert "1 failed" in text
    assert "table 2 is not shown: record" in text
    assert "it was edited" in text


def session_at(scale: str, folder: Path, **changes: str) -> Session:
    """A session at a scale, without any other option."""
    base = replace(SCALES[scale].base, **changes)
    return Session(scale, "missing", range(1), base, Machine(), folder, "pytest")


def test_the_prediction_of_a_cell_is_of_the_committed_records(
    tmp_path: Path, commit: Commit
) -> None:
    row, values = table(1, "glyphs").row("simo-infonce-k255"), [80.0, 81.0, 83.0]
    commit([make_record(row.recipe, seed, value) for seed, value in enumerate(values)])
    low, high = session_at("glyphs", tmp_path).committed.predictions(1)[row.name]
    assert low < min(values) <= max(values) < high
    assert list(session_at("glyphs", tmp_path).committed.predictions(1)) == [row.name]
    assert session_at("smoke", tmp_path).committed.predictions(1) == {}
    assert session_at("glyphs", RECORDS / "glyphs").committed.predictions(1) == {}


def parameters(session: Session, fixture: str) -> list[Any]:
    """The cases that a test with this fixture gets in a session."""
    found: list[Any] = []
    config = SimpleNamespace(stash={conftest.SESSION: session})
    conftest.pytest_generate_tests(
        SimpleNamespace(
            config=config,
            fixturenames=[fixture],
            parametrize=lambda name, cases, **_: found.extend(cases),
        )
    )
    return found


def test_published_numbers_are_compared_on_the_whole_of_imagenet_alone(tmp_path: Path) -> None:
    expected = [
        (number, row.name)
        for number in TABLES
        for row in table(number, "imagenet").rows
        if published.number_for(number, row.name)
    ]
    assert parameters(session_at("imagenet", tmp_path), "published_row") == expected != []
    part = session_at("imagenet", tmp_path, data="part:photos-12345678")
    for other in (part, session_at("glyphs", tmp_path)):
        (only,) = parameters(other, "published_row")
        assert [mark.name for mark in only.marks] == ["skip"]


def test_claims_that_records_contradict_are_strict_expected_failures(tmp_path: Path) -> None:
    marked = {
        each.values[0]: each.marks[0].kwargs
        for each in parameters(session_at("glyphs", tmp_path), "claim")
        if each.marks
    }
    expected = verdicts_in(CONTRADICTED, "glyphs")
    kept = {"strict": True, "raises": AssertionError}
    assert marked == {case: {"reason": why, **kept} for case, why in expected.items()}


# What `pytest reproductions/ -k table1` prints: rows and claims beside the evidence.


TABLE_1 = ["reproductions", "-k", "table1", "--run", "never"]
SESSIONS = {
    "one": TABLE_1,
    "three": [*TABLE_1, "--seeds", "3"],
    "some": [*TABLE_1, "-k", "table1 and k16", "--seeds", "3"],
    **{scale: ["reproductions", "--collect-only", "-q", "--scale", scale] for scale in SCALES},
}


def write_records(folder: Path) -> None:
    """Three runs of each row of table 1, with the accuracies of committed ones, as of today."""
    recipes = [row.recipe for row in table(1, "glyphs").rows]
    recipes.append(untrained(SCALES["glyphs"].base))
    for record in committed("glyphs").records:
        if record.recipe in recipes and record.seed < 3:
            fields = {
                name: dict(getattr(record, name))
                for name in ("metrics", "diagnostics", "curve", "seconds")
            }
            Record.of(record.recipe, record.seed, Machine(), now(), **fields).write(folder)


@pytest.fixture(scope="module")
def printed(tmp_path_factory: pytest.TempPathFactory, sessions: Sessions) -> dict[str, Outcome]:
    folder = tmp_path_factory.mktemp("first")
    write_records(folder / "records" / "glyphs")
    return dict(zip(SESSIONS, sessions(list(SESSIONS.values()), folder), strict=True))


def last_sentence(text: str) -> str:
    """The closing lines on runs and claims, as one."""
    return " ".join(text[text.index("\nyour ") : text.rindex("\n====")].split())


@pytest.fixture(scope="module")
def seeds() -> str:
    """`n=5`: seeds of the committed verdicts on table 1."""
    return seed_counts(by["linear"] for by in committed("glyphs").verdicts[1].values())


def test_one_seed_ends_in_the_verdicts_of_the_evidence(
    printed: dict[str, Outcome], seeds: str
) -> None:
    start = "your 8 runs agree with the evidence in 8 of 8 cells, 8 of 8 runs are equal to the bit"
    sentence, claims = last_sentence(passed(printed["one"])).split("; claims: ")
    assert sentence == start
    assert claims.endswith(f"are open (evidence, {seeds})")
    counts = re.findall(r"(\d+) [a-z]", claims)
    assert sum(map(int, counts)) == len(table(1, "glyphs").claims)


def test_one_seed_prints_at_most_50_lines_of_80_columns(printed: dict[str, Outcome]) -> None:
    lines = printed["one"][1].splitlines()
    assert len(lines) <= 50
    own = [line for line in lines if not line.startswith("plugins: ")]  # of this installation
    assert max(map(len, own)) <= 80


def test_every_claim_is_told_once_with_the_verdict_of_the_evidence(
    printed: dict[str, Outcome], seeds: str
) -> None:
    text = printed["one"][1]
    for name, verdicts in committed("glyphs").verdicts[1].items():
        (line,) = (line for line in text.splitlines() if name in line)
        assert verdicts["linear"].status in line
        assert f"{verdicts['linear'].mean:+.1f} [" in line
    assert f"Claims: verdicts of the committed evidence, {seeds}; yours need --seeds 3" in text
    assert "short test summary" not in text
    assert "8 passed" in text
    assert "12 without a verdict" in text


def test_three_seeds_have_a_verdict_of_their_own_beside_it(printed: dict[str, Outcome]) -> None:
    text = passed(printed["three"])
    assert text.count("  yours, n=3 ") == len(table(1, "glyphs").claims)
    assert "; yours beneath" in text
    assert "in 8 of 8 cells, 24 of 24 runs are equal to the bit; claims: " in last_sentence(text)
    assert re.search(r"are open \(yours, n=3\); \d hold", last_sentence(text))
    assert "short test summary" not in text


def test_a_selection_does_not_change_a_verdict(printed: dict[str, Outcome]) -> None:
    """Intervals hold together over the whole table, also where some claims are selected."""

    def drops(name: str) -> list[str]:
        lines = printed[name][1].splitlines()
        places = [place for place, line in enumerate(lines) if "k16-drops" in line]
        return [" ".join(line.split()) for place in places for line in lines[place : place + 2]]

    assert drops("some") == drops("three") != []


@pytest.mark.parametrize("scale", SCALES)
def test_collecting_needs_no_data(scale: str, printed: dict[str, Outcome]) -> None:
    text = passed(printed[scale])
    for row in table(1, scale).rows:
        assert f"test_cell[table1-{row.name}]" in text
