"""A table of text as Markdown, LaTeX, CSV, JSON or HTML."""

from __future__ import annotations

import csv
import html
import io
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from eqco.runtime.text import plain
from reproductions.reports import markdown

MARKDOWN = str.maketrans({each: f"\\{each}" for each in "\\`*_[]<>|"})
LATEX = {
    "\\": r"\textbackslash{}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_",
    "{": r"\{", "}": r"\}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}",
    "<": r"\textless{}", ">": r"\textgreater{}", "|": r"\textbar{}",
    "±": r"$\pm$", "–": "--", "Δ": r"$\Delta$", "α": r"$\alpha$", "≤": r"$\leq$",
}  # fmt: skip


@dataclass(frozen=True)
class Grid:
    """A table of text, on one line each and without control characters.

    Attributes:
        title: what it shows.
        header: of the columns.
        lines: as many words each as the header has.
        numbers: columns that are aligned to the right.
        note: a sentence beneath, or "".
    """

    title: str
    header: tuple[str, ...]
    lines: tuple[tuple[str, ...], ...]
    numbers: frozenset[str] = frozenset()
    note: str = ""

    def __post_init__(self) -> None:
        lines = (tuple(map(plain, line)) for line in self.lines)
        object.__setattr__(self, "lines", tuple(lines))
        for name in ("title", "note"):
            object.__setattr__(self, name, plain(getattr(self, name)))


def to_md(grid: Grid) -> str:
    """Markdown under a heading; what would be markup inside cells is escaped."""
    lines = [[word.translate(MARKDOWN) for word in line] for line in grid.lines]
    parts = [f"**{grid.title}**", markdown.table(grid.header, lines), grid.note]
    return "\n\n".join(filter(None, parts))


def latex(text: str) -> str:
    """Text with the characters of LaTeX escaped."""
    return "".join(LATEX.get(each, each) for each in text)


def to_latex(grid: Grid) -> str:
    """A table environment of the package booktabs."""
    columns = "".join("r" if name in grid.numbers else "l" for name in grid.header)
    rows = [" & ".join(map(latex, line)) + r" \\" for line in (grid.header, *grid.lines)]
    note = f" {grid.note}" if grid.note else ""
    return "\n".join(
        [
            r"\begin{table}",
            rf"\caption{{{latex(grid.title + '.' + note)}}}",
            rf"\begin{{tabular}}{{{columns}}}",
            r"\toprule",
            rows[0],
            r"\midrule",
            *rows[1:],
            r"\bottomrule",
            r"\end{tabular}",
            r"\end{table}",
        ]
    )


def to_csv(grid: Grid) -> str:
    """Comma-separated values under their header; without title and note."""
    stream = io.StringIO()
    csv.writer(stream, lineterminator="\n").writerows([grid.header, *grid.lines])
    return stream.getvalue().rstrip("\n")


def to_json(grid: Grid) -> str:
    """An object with title, note and a row for each line."""
    rows = [dict(zip(grid.header, line, strict=True)) for line in grid.lines]
    return json.dumps({"title": grid.title, "note": grid.note, "rows": rows}, ensure_ascii=False)


def to_html(grid: Grid) -> str:
    """A table element; every text is escaped."""

    def cells(kind: str, line: Sequence[str]) -> str:
        made = []
        for name, word in zip(grid.header, line, strict=True):
            side = ' style="text-align:right"' if name in grid.numbers else ""
            made.append(f"<{kind}{side}>{html.escape(word)}</{kind}>")
        return f"<tr>{''.join(made)}</tr>"

    return "\n".join(
        [
            "<table>",
            f"<caption>{html.escape(' '.join(filter(None, (grid.title, grid.note))))}</caption>",
            f"<thead>{cells('th', grid.header)}</thead>",
            "<tbody>",
            *(cells("td", line) for line in grid.lines),
            "</tbody>",
            "</table>",
        ]
    )


FORMATS: dict[str, Callable[[Grid], str]] = {
    "md": to_md, "latex": to_latex, "csv": to_csv, "json": to_json, "html": to_html,
}  # fmt: skip


def rendered(grids: Sequence[Grid], form: str) -> str:
    """Several tables as one document; JSON becomes a list of them."""
    parts = [FORMATS[form](grid) for grid in grids]
    return f"[{','.join(parts)}]" if form == "json" else "\n\n".join(parts)
