"""A table of text, and how it is written: terminal, Markdown, LaTeX, CSV, JSON, HTML."""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

import pandas as pd
from markupsafe import Markup, escape
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table as RichTable

from eqco.runtime.text import plain

MARKDOWN = str.maketrans({character: f"\\{character}" for character in "\\`*_[]<>|"})
LATEX = str.maketrans({
    "\\": r"\textbackslash{}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_",
    "{": r"\{", "}": r"\}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}",
    "<": r"\textless{}", ">": r"\textgreater{}", "|": r"\textbar{}",
    "±": r"$\pm$", "–": "--", "Δ": r"$\Delta$", "α": r"$\alpha$", "≤": r"$\leq$", "−": "$-$",
})  # fmt: skip


LONG = 16  # characters of a cell that LaTeX may break


@dataclass(frozen=True)
class Grid:
    """A table of text; no text in it has line breaks or control characters.

    Attributes:
        frame: the cells, each a text; those of HTML may be `Markup`.
        numbers: columns that are aligned to the right.
        title: what it shows.
        note: a sentence beneath, or "".
    """

    frame: pd.DataFrame
    numbers: Iterable[str] = ()
    title: str = ""
    note: str = ""

    def __post_init__(self) -> None:
        clean = {name: plain(getattr(self, name)) for name in ("title", "note")}
        cells = {
            name: [word if isinstance(word, Markup) else plain(word) for word in self.frame[name]]
            for name in self.frame
        }
        frame = pd.DataFrame(cells, dtype=object)  # pandas' texts of pyarrow are no Markup
        for name, value in {**clean, "frame": frame}.items():
            object.__setattr__(self, name, value)

    @property
    def header(self) -> list[str]:
        """Titles of the columns."""
        return list(self.frame.columns)

    @property
    def lines(self) -> list[list[str]]:
        """Cells, line by line."""
        lines: list[list[str]] = self.frame.to_numpy().tolist()
        return lines


def spread(values: Iterable[float]) -> str:
    """Mean, standard deviation and count, such as `86.1 ± 0.3 (5)`."""
    series = pd.Series(list(values), dtype=float)
    if series.empty:
        return "–"
    if len(series) == 1:
        return f"{series.iloc[0]:.1f} (1)"
    return f"{series.mean():.1f} ± {series.std():.1f} ({len(series)})"


def fitting(grid: Grid, width: int, optional: Sequence[str]) -> Grid:
    """The table without optional columns that do not fit; the first of the list goes first."""
    frame = grid.frame
    for name in optional:
        widths = [max(map(len, (title, *frame[title]))) + 1 for title in frame]
        if name in frame and sum(widths) - 1 > width:
            frame = frame.drop(columns=name)
    return Grid(frame, grid.numbers, grid.title, grid.note)


def in_terminal(grid: Grid, fold: str = "") -> RichTable:
    """The table for a terminal, columns a character apart; one of them may be folded."""
    table = RichTable(box=SIMPLE_HEAD, padding=0, show_edge=False)
    for name in grid.header:
        side: Literal["left", "right"] = "right" if name in grid.numbers else "left"
        table.add_column(name, justify=side, no_wrap=name != fold, overflow="fold")
    for line in grid.lines:
        table.add_row(*line)
    return table


def to_text(grid: Grid, width: int = 10_000, fold: str = "") -> str:
    """The table as lines of text; a column may be folded to fit into a width."""
    stream = io.StringIO()
    Console(file=stream, width=width, markup=False, emoji=False).print(in_terminal(grid, fold))
    return "\n".join(line.rstrip() for line in stream.getvalue().splitlines())


def to_terminal(grid: Grid) -> str:
    """The table as lines of 80 characters, beneath its title; its first column may be folded."""
    return "\n".join(filter(None, [grid.title, to_text(grid, 80, grid.header[0]), grid.note]))


def markdown_table(header: Sequence[str], lines: Iterable[Sequence[str]]) -> str:
    """A Markdown table of cells that may have markup."""
    rule = ["---"] * len(header)
    return "\n".join("| " + " | ".join(line) + " |" for line in [header, rule, *lines])


def to_md(grid: Grid) -> str:
    """Markdown under a heading; what would be markup inside cells is escaped."""
    lines = [[word.translate(MARKDOWN) for word in line] for line in grid.lines]
    parts = [f"**{grid.title}**", markdown_table(grid.header, lines), grid.note]
    return "\n\n".join(filter(None, parts))


def to_latex(grid: Grid) -> str:
    """A booktabs table that fits a column of two; values that all lines share are in the caption.

    Needs the packages booktabs and array. The first column breaks its lines where it is long. A
    table of more than five columns, or three of spreads, goes across both (`table*`).
    """
    frame = grid.frame
    constant = [name for name in frame.columns[1:] if len(frame) > 1 and frame[name].nunique() == 1]
    shared = [f"{name} {frame[name].iloc[0]}" for name in constant]
    frame = frame.drop(columns=constant).map(lambda word: word.translate(LATEX))
    sides = ["r" if name in grid.numbers else "l" for name in frame.columns]
    if frame.iloc[:, 0].str.len().max() > LONG:
        width = 0.36 if len(sides) < 5 else 0.24
        sides[0] = rf">{{\raggedright\arraybackslash}}p{{{width}\linewidth}}"
    heading = re.sub(r"^Table \d+: ", "", grid.title)  # LaTeX counts its tables itself
    parts = [f"{part}." for part in (heading, *shared)]
    text: str = frame.to_latex(
        index=False,
        header=[name.translate(LATEX) for name in frame.columns],
        escape=False,
        column_format="@{}" + "".join(sides) + "@{}",
        position="t",
        caption=" ".join([*parts, grid.note]).strip().translate(LATEX),
        label=f"tab:{re.sub(r'[^a-z0-9]+', '-', grid.title.lower()).strip('-')}",
    )
    start = "\\centering\n\\scriptsize\n\\setlength{\\tabcolsep}{3pt}\n\\begin{tabular}"
    spreads = frame.apply(lambda column: column.str.contains(r"\pm", regex=False).any())
    if len(sides) > 5 or spreads.sum() > 2:
        text = text.replace("{table}", "{table*}")
    return text.replace("\\begin{tabular}", start, 1).rstrip()


def to_html(grid: Grid, shown: Callable[[str], str] = escape) -> str:
    """A table element; `shown` makes HTML of the text of a cell."""
    sides = [' align="right"' if name in grid.numbers else "" for name in grid.header]

    def row(words: Sequence[str], first: str, other: str) -> str:
        tags = [first, *(other for _ in words[1:])]
        parts = zip(tags, sides, words, strict=True)
        cells = (f"<{tag}{side}>{shown(word)}</{tag[:2]}>" for tag, side, word in parts)
        return f"<tr>{''.join(cells)}</tr>"

    head = row(grid.header, 'th scope="col"', 'th scope="col"')
    lines = "\n".join(row(line, 'th scope="row"', "td") for line in grid.lines)
    caption = escape(f"{grid.title} {grid.note}".strip())
    return (
        f"<table>\n<caption>{caption}</caption>\n<thead>{head}</thead>\n"
        f"<tbody>\n{lines}\n</tbody>\n</table>"
    )


FORMATS: dict[str, Callable[[Grid], str]] = {
    "text": to_terminal, "md": to_md, "latex": to_latex, "html": to_html,
}  # fmt: skip


def rendered(grids: Sequence[Grid], form: str) -> str:
    """Several tables as one document."""
    return "\n\n".join(FORMATS[form](grid) for grid in grids)
