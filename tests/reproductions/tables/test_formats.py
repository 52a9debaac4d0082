"""Tables of text: what is escaped, aligned and left out; `faults` has texts of every kind."""

from __future__ import annotations

import pandas as pd
import pytest

from reproductions.tables.formats import FORMATS, Grid, fitting, rendered

LINES = (("a & b_c <i>", "86.1 ± 0.3 (5)"), ('x|y, "z"', "–"))
FRAME = pd.DataFrame(LINES, columns=["loss", "linear %"])
GRID = Grid(FRAME, ["linear %"], "Table 1: 100 %", "A note.")


def test_markdown_escapes_bars_and_latex_its_own_characters() -> None:
    assert r"x\|y" in rendered([GRID], "md")
    assert r"b\_c \<i\>" in rendered([GRID], "md")
    text = rendered([GRID], "latex")
    assert r"a \& b\_c \textless{}i\textgreater{} & 86.1 $\pm$ 0.3 (5) \\" in text
    assert r"p{0.36\linewidth}r@{}}" in text
    assert r"\caption{100 \%. A note.}" in text
    assert r"\label{tab:table-1-100}" in text
    braces = Grid(pd.DataFrame({"a": ["\\{}"]}))
    assert r"\textbackslash{}\{\} \\" in rendered([braces], "latex")


@pytest.mark.parametrize("form", FORMATS)
def test_several_tables_are_one_document(form: str) -> None:
    text = rendered([GRID, GRID], form)
    assert text.count("86.1") == 2


def test_columns_that_do_not_fit_go_in_their_order_and_the_others_stay() -> None:
    grid = Grid(pd.DataFrame({"a": ["x" * 30], "b": ["x" * 20], "c": ["x" * 20], "d": ["x" * 9]}))
    for width, titles in ((82, "abcd"), (81, "acd"), (60, "ad"), (20, "ad")):
        assert "".join(fitting(grid, width, "bc").header) == titles
