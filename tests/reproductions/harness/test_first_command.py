"""What `pytest reproductions/ -k table1` prints: rows and claims beside the evidence."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from eqco.artifacts.record import Record, now
from eqco.config import Machine
from eqco.engine.run import untrained
from reproductions.results.evidence import committed
from reproductions.scales import SCALES
from reproductions.tables import table
from reproductions.tables.claims import seed_counts
from tests.conftest import Outcome, Sessions, passed

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
    assert f"Claims: verdicts of the committed evidence, {seeds}" in text
    assert "short test summary" not in text
    assert "8 passed" in text
    assert "12 without a verdict" in text


def test_three_seeds_have_a_verdict_of_their_own_beside_it(printed: dict[str, Outcome]) -> None:
    text = passed(printed["three"])
    assert text.count("  yours, n=3 ") == len(table(1, "glyphs").claims)
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
