"""The benchmark: every case runs, every goal names a measurement, and the table is narrow."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from benchmark.__main__ import PAGE, main
from benchmark.measure import Measurement
from benchmark.report import GOALS, Goal, report_rows, row_lines, summary, table
from tests.processes import python

GROUPS = {"losses", "drawing", "queue", "views", "decode", "step", "run", "start-up", "memory"}
Tiny = tuple[dict[str, Any], str]


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Tiny:
    """The report and the output of all cases at sizes that take no time."""
    path = tmp_path_factory.mktemp("benchmark") / "report.json"
    done = python("-m", "pytest", "benchmark", "--tiny", "-q", f"--benchmark-json={path}")
    return json.loads(path.read_text(encoding="utf-8")), done.stdout


def test_every_group_measures_and_says_where(tiny: Tiny) -> None:
    rows = report_rows(tiny[0])
    assert {row.group for row in rows} == GROUPS
    assert len({row.name for row in rows}) == len(rows)
    for case in tiny[0]["benchmarks"]:
        assert case["extra_info"]["threads"] == 1
        assert {"device", "cores", "torch"} <= set(case["extra_info"])


def test_every_goal_names_a_measurement_and_what_it_is_divided_by(tiny: Tiny) -> None:
    rows = {row.name: row for row in report_rows(tiny[0])}
    for goal in GOALS:
        assert goal.name in rows, goal
        assert goal.against in ("", "plain", "limit", "lightly"), goal
        if goal.against == "limit":
            assert "limit" in rows[goal.name].times, goal
    assert len({(goal.name, goal.against) for goal in GOALS}) == len(GOALS)


def test_the_session_ends_with_one_narrow_table(tiny: Tiny) -> None:
    lines = tiny[1].splitlines()
    start = next(place for place, line in enumerate(lines) if line.split()[:2] == ["ours", "plain"])
    assert max(len(line) for line in lines[start:]) <= 80
    assert lines[start:][: len(table(report_rows(tiny[0])))] == table(report_rows(tiny[0]))
    assert "OPS" not in tiny[1]


ROW = Measurement("losses", "N = 4096, K = 16", "ms", {"ours": 0.02}, {}, {"plain": 11.0})


def test_a_goal_is_met_missed_or_has_nothing_to_compare_with() -> None:
    at_least, at_most = Goal(ROW.name, "plain", 10), Goal(ROW.name, "plain", 0.1, "≤")
    assert (at_least.ratio(ROW), at_least.verdict(ROW)) == (11.0, "met")
    assert (at_most.ratio(ROW), at_most.verdict(ROW)) == (1 / 11.0, "met")
    slow = replace(ROW, times={"plain": 9.0})
    assert (at_least.verdict(slow), at_most.verdict(slow)) == ("missed", "missed")
    assert Goal(ROW.name, "lightly", 100).verdict(ROW) == "no peer"
    assert Goal(ROW.name, "", 0.01, "≤").verdict(ROW) == "missed"
    first, second = row_lines(ROW)
    assert first.split()[-4:] == ["11.0", "≥", "10", "met"]
    assert second.split()[-5:] == ["-", "≥", "100", "no", "peer"]
    assert summary([ROW])[0].startswith("1 of 2 goals met, 0 missed, 1 without")


def test_the_page_takes_the_table(tiny: Tiny, tmp_path: Path) -> None:
    report, page = tmp_path / "report.json", tmp_path / "page.md"
    report.write_text(json.dumps(tiny[0]), encoding="utf-8")
    page.write_text("before\n<!-- table -->\nold\n<!-- /table -->\nafter\n", encoding="utf-8")
    assert main(["--json", str(report), "--page", str(page)]) == 0
    text = page.read_text(encoding="utf-8")
    assert text.startswith("before\n")
    assert text.endswith("<!-- /table -->\nafter\n")
    assert "old" not in text
    assert "N = 4096, K = 16" in text
    assert tiny[0]["benchmarks"][0]["extra_info"]["torch"] in text


def test_the_committed_page_has_a_line_for_every_goal() -> None:
    last = PAGE.read_text(encoding="utf-8").partition("<!-- table -->")[2]
    for goal in GOALS:
        assert goal.name in last, goal
