"""benchmark/README.md, whose measured parts are written between markers."""

from __future__ import annotations

from pathlib import Path

PAGE = Path(__file__).with_name("README.md")
START, END = "<!-- table -->", "<!-- end of table -->"


def put(page: str, text: str, marks: tuple[str, str] = (START, END)) -> str:
    """A page with the text between two markers replaced.

    Raises:
        ValueError: the page lacks a marker.
    """
    start, end = marks
    if start not in page or end not in page:
        raise ValueError(f"{PAGE.name} needs the lines {start} and {end}")
    before, _, rest = page.partition(start)
    return f"{before}{start}\n{text}\n{end}{rest.partition(end)[2]}"
