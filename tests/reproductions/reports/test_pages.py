"""README.md and docs/ show what the committed records say."""

from __future__ import annotations

import argparse
import math
from pathlib import Path

import pytest

from eqco.evaluation.metrics import METRICS
from reproductions.experiments import grid
from reproductions.reports import pages, readme, sensitivity, sweep
from reproductions.reports.answers import with_numbers
from reproductions.reports.grids import CONTRADICTED, claim_grid, published_grid, verdicts_in
from reproductions.results.evidence import Evidence, committed, judged_scales
from reproductions.scales import SCALES
from reproductions.statistics.verdicts import FAILS, HOLDS, OPEN, Verdict
from reproductions.statistics.wording import INTERVAL, points, status
from reproductions.tables import TABLES, table
from tests import synthetic
from tests.reproductions.conftest import Commit


def test_pages_are_up_to_date() -> None:
    status = pages.main(argparse.Namespace(check=True))
    assert status == 0, "run python -m reproductions pages and commit"


def test_expected_failures_are_claims_with_numbers() -> None:
    for scale in judged_scales():
        for (number, claim), why in verdicts_in(CONTRADICTED, scale).items():
            assert table(number, scale).claim(claim)
            assert why.startswith("does not hold: ")
            assert "n=" in why


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


@pytest.fixture
def stand_ins(commit: Commit) -> None:
    """Records of table 1, and of two rows of table 7, that nobody ran."""
    rows = {row.recipe for row in table(7, "glyphs").rows[:3]}
    records = synthetic.records_of([1], grid=False)
    records += [synthetic.record(recipe, seed) for recipe in rows for seed in synthetic.SEEDS]
    commit(list({record.run_id: record for record in records}.values()))


def test_without_records_every_page_says_what_makes_them_and_no_cell_is_empty(
    commit: Commit,
) -> None:
    commit([])
    for path, sections in pages.PAGES.items():
        for name, content in sections.items():
            text = content()
            assert text, f"{path.name}: {name}"
            lines = text.splitlines()
            heads = {lines[place - 1] for place, line in enumerate(lines) if line[:5] == "| ---"}
            assert not [line for line in lines if "|  |" in line and line not in heads]
            assert "nan" not in text
    text = pages.all_tables()
    for number in TABLES:
        command = f"`pytest reproductions/ -k table{number}`"
        assert f"Not run: {command} makes them (" in text.split(f"## Table {number}: ")[1]
    assert pages.contradicted() == "scale,table,claim,verdict\n"
    assert "**No answer yet.**" in readme.answer()


@pytest.mark.usefixtures("stand_ins")
def test_a_table_in_part_shows_what_was_run_and_the_command_that_runs_the_rest() -> None:
    evidence = committed("glyphs")
    cells, claims = pages.table_page(7, evidence).split("| claim |")
    assert cells.count("| SiMo |") == 4
    assert "Not run: 6 of 10 rows; `pytest reproductions/ -k table7` makes them (6 runs, " in cells
    shown = {claim.name for claim in evidence.tables[7].claims if claim.statement in claims}
    assert shown == {name for name, by in evidence.verdicts[7].items() if by}


@pytest.mark.usefixtures("stand_ins")
def test_a_prediction_stands_beside_what_was_measured() -> None:
    found = committed("glyphs")
    lines = claim_grid(found, 7).frame.set_index("claim")
    claim = found.tables[7].claim("eqco-k16-draws4-beats-draws1")
    verdict = committed("glyphs").verdicts[7][claim.name]["linear"]
    word = "inside" if verdict.low <= 0.5 <= verdict.high else "outside"
    line = lines.loc[f"{claim.statement} (primary)"]
    assert (line["predicted"], line[INTERVAL]) == (f"+0.5, {word}", points(verdict))
    assert (line["method"], line["verdict"]) == ("SiMo", status(verdict))
    assert "predicted" not in claim_grid(found, 1).header


def test_a_claim_names_the_methods_of_its_rows() -> None:
    found = Evidence("glyphs", ())
    assert set(claim_grid(found, 2).frame["method"]) == {"MoCo v2", "SimCLR"}
    assert claim_grid(found, 3).frame["method"][0] == "SiMo, MoCo v2"


def test_published_numbers_stand_once_with_their_source() -> None:
    lines = published_grid().lines
    assert len({tuple(line[:2]) for line in lines}) == len(lines)
    assert all(source for *_, source in lines)


def test_prices_count_each_shared_run_once() -> None:
    own, seen = [], set[str]()
    for number in TABLES:
        digests = {row.recipe.digest() for row in table(number, "glyphs").rows}
        own.append(f"{len(digests)} runs, {len(digests & seen)} shared with earlier tables")
        seen |= digests
    for text, line in zip(own, pages.prices().splitlines()[2:], strict=True):
        assert text in line


@pytest.mark.usefixtures("stand_ins")
def test_the_tables_of_the_papers_claims_are_found_by_their_claims() -> None:
    for paper, number in readme.TABLE_OF.items():
        assert paper in {claim.paper for claim in table(number, "glyphs").claims}
    level = table(1, "glyphs").claim(f"eqco-k{readme.HEADLINE_K}-equals-full")
    found = readme.paper_verdicts("C1")
    assert readme.few(found, "level") == committed("glyphs").verdicts[1][level.name].get("linear")


@pytest.mark.usefixtures("stand_ins")
def test_the_answer_and_the_claims_have_the_numbers_of_the_verdicts() -> None:
    found = readme.paper_verdicts("C1")
    falls, better, level = (readme.few(found, name) for name in ("falls", "better", "level"))
    assert falls
    assert better
    assert level
    assert f"loses {falls.mean:.1f} points" in readme.answer()
    given_back = f"wins {better.mean:.1f} of them back [{better.low:.1f}, {better.high:.1f}] (sim"
    assert given_back in readme.answer()
    assert f"| C4 | 16 negatives are enough | **{level.status}** at" in readme.paper_claims()
    assert "not run: 2 of 5 rows; `pytest reproductions/ -k table3`" in readme.paper_claims()


@pytest.mark.parametrize(
    ("level", "half", "words"),
    [
        (HOLDS, HOLDS, "16 negatives are enough: EqCo recovers most"),
        (FAILS, FAILS, "16 negatives are not enough: EqCo recovers less than half"),
        (OPEN, HOLDS, "16 negatives may be enough or not: EqCo recovers most"),
    ],
)
def test_the_answer_says_no_more_than_the_verdicts(
    level: str, half: str, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    statuses = {"level": level, "recovers": half, "falls": HOLDS, "better": OPEN}
    judged = [
        (claim, Verdict(statuses[claim.aspect], -1.0, 0.5, -1.5, -0.5, 5, 5))
        for claim in table(1, "glyphs").claims
    ]
    monkeypatch.setattr(readme, "paper_verdicts", lambda *_: judged)
    assert f"With SiMo on `glyphs` at learning rate 0.4, {words}" in readme.answer()


def test_claims_have_the_verdicts_of_the_earlier_rules_beside_those_of_today() -> None:
    frame = claim_grid(committed("glyphs"), 1).frame.set_index("claim")
    (line,) = (frame.loc[each] for each in frame.index if each.startswith("EqCo with K=16 is as"))
    assert (line["verdict"], line["until 2026-11-29"]) == ("does not hold", "undetermined")
    assert line["difference"] == "EqCo 16 − EqCo 255"
    other = claim_grid(Evidence("imagenet", ()), 1).header
    assert "until 2026-11-29" not in other


@pytest.mark.parametrize(
    ("what", "number"),
    [
        ("claim glyphs 10 eqco-k16-drops-epochs90 holds", "1.8"),
        ("planned long-training 2 does-not-hold", "1.5"),
        ("claim imagenet 1 eqco-k16-equals-full", "not run"),
    ],
)
def test_a_sentence_has_its_number_as_long_as_its_verdict_stands(what: str, number: str) -> None:
    assert with_numbers(f"<!--= {what} -->old<!--/-->") == f"<!--= {what} -->{number}<!--/-->"
    *place, _ = what.split()
    if number[0].isdigit():
        with pytest.raises(ValueError, match="rewrite the sentence"):
            with_numbers(f"<!--= {' '.join(place)} open -->old<!--/-->")


# The page of the sweep, whole, in part and without any run.


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


# The suite's own measures: a metric's effect, and what pairing by seed is worth.


LUCK = {0: 0.5, 1: -0.5, 2: 1.5, 3: -1.5}


def test_pairing_takes_away_what_rows_share() -> None:
    left = {seed: 80 + luck for seed, luck in LUCK.items()}
    right = {seed: 81 + luck for seed, luck in LUCK.items()}
    pair = sensitivity.pair(left, right)
    assert (pair.n, pair.effect, pair.sd, pair.gain) == (4, -1.0, 0.0, 0.0)
    assert pair.sharpness == math.inf
    assert pair.correlation == pytest.approx(1.0)


def test_pairing_is_worth_nothing_for_rows_without_correlation() -> None:
    left, right = {0: 1.0, 1: -1.0, 2: 1.0, 3: -1.0}, {0: 1.0, 1: 1.0, 2: -1.0, 3: -1.0}
    pair = sensitivity.pair(left, right)
    assert pair.correlation == pytest.approx(0.0)
    assert pair.gain == pytest.approx(1.0)


def test_opposite_luck_makes_pairing_harmful() -> None:
    pair = sensitivity.pair(LUCK, {seed: -luck for seed, luck in LUCK.items()})
    assert pair.gain == pytest.approx(2**0.5)


def test_two_seeds_measure_nothing_and_a_constant_row_has_no_correlation() -> None:
    assert sensitivity.pair({0: 1.0, 1: 2.0, 2: 3.0}, {1: 1.0, 2: 2.0, 5: 3.0}) is None
    pair = sensitivity.pair(LUCK, dict.fromkeys(LUCK, 2.0))
    assert math.isnan(pair.correlation)


def test_the_section_has_a_line_for_each_metric(commit: Commit) -> None:
    commit(synthetic.records_of([1], grid=False))
    lines = sensitivity.section().splitlines()
    for metric in METRICS.values():
        assert any(line.startswith(f"| {metric.title} | 4 | ") for line in lines)


def test_without_seeds_the_section_says_what_it_needs(commit: Commit) -> None:
    commit(synthetic.records_of([1], grid=False, seeds=range(2)))
    sentence = "both rows need 3 seeds: `pytest reproductions/ -k table1 --seeds 3`"
    assert sentence in sensitivity.section()
