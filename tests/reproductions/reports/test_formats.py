"""Tables of text in every format: nothing is lost, and every character is escaped."""

from __future__ import annotations

import csv
import io
import json
from html.parser import HTMLParser

import pytest

from reproductions.reports.formats import FORMATS, Grid, latex, rendered

LINES = (("a & b_c <i>", "86.1 ± 0.3 (5)"), ('x|y, "z"', "–"))
GRID = Grid("Table 1: 100 %", ("loss", "linear %"), LINES, frozenset({"linear %"}), "A note.")


class Cells(HTMLParser):
    """Text of the cells of a table."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: object) -> None:
        self.tags.append(tag)
        if tag == "td":
            self.found.append("")

    def handle_data(self, data: str) -> None:
        if self.tags[-1] == "td" and self.found and data.strip():
            self.found[-1] += data


def test_csv_json_and_html_give_the_words_back() -> None:
    words = [word for line in LINES for word in line]
    read = list(csv.reader(io.StringIO(rendered([GRID], "csv"))))
    assert [word for line in read[1:] for word in line] == words
    (table,) = json.loads(rendered([GRID], "json"))
    assert [word for row in table["rows"] for word in row.values()] == words
    cells = Cells()
    cells.feed(rendered([GRID], "html"))
    assert cells.found == words
    assert "i" not in cells.tags


def test_markdown_escapes_bars_and_latex_its_own_characters() -> None:
    assert r"x\|y" in rendered([GRID], "md")
    assert r"b\_c \<i\>" in rendered([GRID], "md")
    text = rendered([GRID], "latex")
    assert r"a \& b\_c \textless{}i\textgreater{} & 86.1 $\pm$ 0.3 (5) \\" in text
    assert r"\begin{tabular}{lr}" in text
    assert r"\caption{Table 1: 100 \%. A note.}" in text
    assert latex("\\{}") == r"\textbackslash{}\{\}"


@pytest.mark.parametrize("form", FORMATS)
def test_several_tables_are_one_document(form: str) -> None:
    text = rendered([GRID, GRID], form)
    assert text.count("86.1") == 2
