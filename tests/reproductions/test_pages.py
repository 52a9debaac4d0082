"""README.md and docs/ show what the committed records say."""

from __future__ import annotations

import argparse
import ast
from dataclasses import replace
from pathlib import Path

import pytest

from reproductions import evidence, pages
from reproductions.claims import JUDGED
from reproductions.conftest import contradictions
from reproductions.evidence import evidence_base, judged_scales
from reproductions.judge import better, correct
from reproductions.markdown import short
from reproductions.tables import TABLES, table
from reproductions.tables.cells import ASPECTS

NUMBERS_OF_TABLES_AND_SCALES = [(n, scale) for scale in judged_scales() for n in TABLES]


def test_pages_are_up_to_date() -> None:
    status = pages.main(argparse.Namespace(check=True))
    assert status == 0, "run python -m reproductions pages and commit"


def test_the_file_of_contradicted_claims_is_up_to_date() -> None:
    assert pages.CONTRADICTED.read_text(encoding="utf-8") == pages.contradicted()


def test_expected_failures_are_claims_with_numbers() -> None:
    for scale in judged_scales():
        for (number, claim), why in contradictions(scale).items():
            assert table(number, scale).claim(claim)
            assert why.startswith("contradicted: ")
            assert "n=" in why
    assert contradictions("glyphs")


@pytest.fixture
def page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A page with one section, and the file of contradicted claims as it should be."""
    path, csv = tmp_path / "page.md", tmp_path / "contradicted.csv"
    path.write_text("head\n<!-- a -->\nold\n<!-- /a -->\ntail\n", encoding="utf-8")
    csv.write_text(pages.contradicted(), encoding="utf-8")
    monkeypatch.setattr(pages, "PAGES", {path: {"a": lambda: "new"}})
    monkeypatch.setattr(pages, "CONTRADICTED", csv)
    return path


def test_a_check_fails_on_a_stale_page_and_changes_nothing(
    page: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = page.read_text(encoding="utf-8")
    assert pages.main(argparse.Namespace(check=True)) == 1
    assert capsys.readouterr().out == "stale: page.md\n"
    assert page.read_text(encoding="utf-8") == before


def test_pages_are_rewritten_between_their_markers(
    page: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert pages.main(argparse.Namespace(check=False)) == 0
    assert page.read_text(encoding="utf-8") == "head\n<!-- a -->\nnew\n<!-- /a -->\ntail\n"
    assert pages.main(argparse.Namespace(check=True)) == 0
    assert capsys.readouterr().out == "rewritten: page.md\nstale: nothing\n"


@pytest.mark.parametrize("gone", ["<!-- a -->", "<!-- /a -->"])
def test_a_missing_marker_is_an_error_that_names_page_and_marker(page: Path, gone: str) -> None:
    text = page.read_text(encoding="utf-8")
    page.write_text(text.replace(gone, ""), encoding="utf-8")
    with pytest.raises(ValueError, match=r"page\.md: marker <!-- a --> … <!-- /a --> is missing"):
        pages.main(argparse.Namespace(check=False))


def test_every_page_exists_and_has_its_sections_once() -> None:
    for path, sections in pages.PAGES.items():
        text = path.read_text(encoding="utf-8")
        for name in sections:
            assert text.count(f"<!-- {name} -->") == 1, f"{path.name}: {name}"
            assert text.count(f"<!-- /{name} -->") == 1, f"{path.name}: {name}"


@pytest.fixture(scope="module")
def sections() -> dict[int, str]:
    """The sections of `all_tables` by number of the table."""
    parts = pages.all_tables().split("## Table ")[1:]
    return {int(part.partition(":")[0]): part for part in parts}


def test_every_table_has_a_section_with_its_title(sections: dict[int, str]) -> None:
    assert list(sections) == list(TABLES)
    for number, section in sections.items():
        assert section.startswith(f"{number}: {table(number, 'glyphs').title}\n")


@pytest.mark.parametrize(("number", "scale"), NUMBERS_OF_TABLES_AND_SCALES)
def test_a_table_is_shown_at_each_scale_where_all_of_its_rows_have_records(
    number: int, scale: str, sections: dict[int, str]
) -> None:
    rows = table(number, scale, evidence_base(scale)).rows
    complete = all(evidence.row_values(scale, row) for row in rows)
    assert (f"### Scale {scale}\n" in sections[number]) == complete
    if complete:
        assert pages.table_page(number, scale) in sections[number]


def test_a_page_of_a_table_shows_every_row_and_claim() -> None:
    for number in TABLES:
        text, found = pages.table_page(number, "glyphs"), table(number, "glyphs")
        cells, claims = text.split("| claim |")
        assert cells.count("\n| ") == 2 + len(found.rows)  # the head and its rule
        assert [claim.statement in claims for claim in found.claims] == [True] * len(found.claims)
        for metric in JUDGED:
            assert f" {pages.metric_titles()[metric]}: verdict |" in claims


def test_a_corrected_verdict_has_both_p_values_and_the_uncorrected_verdict() -> None:
    plain = better([80.1, 80.9, 80.3], [80.0, 80.1, 80.2])
    corrected, _ = correct([plain, plain])
    assert short(plain) == "+0.33 [-0.35, +1.01] n=3: **undetermined**"
    assert short(corrected) == (
        f"+0.33 [-0.35, +1.01] n=3, p={plain.p:.2g} (Holm {2 * plain.p:.2g}): **undetermined**"
    )
    lost = replace(corrected, uncorrected="supported")
    assert short(lost).endswith("**undetermined** (uncorrected: supported)")


def test_prices_count_each_shared_run_once() -> None:
    own, seen = [], set[str]()
    for number in TABLES:
        digests = {row.recipe.digest() for row in table(number, "glyphs").rows}
        own.append(f"{len(digests)} runs, {len(digests & seen)} shared with earlier tables")
        seen |= digests
    for text, line in zip(own, pages.prices().splitlines()[2:], strict=True):
        assert text in line


def test_no_k_and_no_table_number_is_written_in_the_code_of_pages() -> None:
    tree = ast.parse(Path(pages.__file__).read_text(encoding="utf-8"))
    numbers = [
        node.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and type(node.value) in (int, float)
    ]
    assert [number for number in numbers if number > 2] == [pages.FEW]
    for call in (node for node in ast.walk(tree) if isinstance(node, ast.Call)):
        if isinstance(call.func, ast.Name) and "table" in call.func.id and call.args:
            first = call.args[0]
            assert not (isinstance(first, ast.Constant) and isinstance(first.value, int))


def test_the_tables_of_the_papers_claims_are_found_by_their_claims() -> None:
    for paper in ("C1", "C5"):
        number = pages.first_table(paper)
        assert paper in {claim.paper for claim in table(number, "glyphs").claims}
    level = table(1, "glyphs").claim(f"eqco-k{pages.FEW}-equals-full")
    assert pages.few(ASPECTS["level"]) == pages.judge_claim(1, "glyphs", level)


def test_the_answer_and_the_claims_have_the_numbers_of_the_verdicts() -> None:
    falls = pages.few(ASPECTS["falls"])
    assert f"{falls.mean:.1f} points [{falls.low:.1f}, {falls.high:.1f}]" in pages.answer()
    level = pages.few(ASPECTS["level"])
    assert f"{pages.points(level)} against all: **{level.status}**" in pages.paper_claims()
