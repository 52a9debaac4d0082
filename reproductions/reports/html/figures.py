"""The committed figures as data URIs, with their texts from `figures/README.md`."""

from __future__ import annotations

import base64
import io
import re
from dataclasses import dataclass
from pathlib import Path

from markupsafe import Markup
from PIL import Image

from reproductions.reports.html import text

FOLDER = Path(__file__).parents[3] / "figures"
PICTURE = re.compile(r"!\[([^\]]*)\]\(([^)]+\.png)\)")
COLOURS = 64  # of the palette: lines and dots need few, and a file shrinks to a half or less


@dataclass(frozen=True)
class Figure:
    """A figure.

    Attributes:
        title, alt: of the page of figures.
        words: what the figure shows.
        uri: PNG as a data URI.
        width, height: pixels.
    """

    title: str
    alt: str
    words: Markup
    uri: str
    width: int
    height: int


def embedded(path: Path) -> tuple[str, int, int]:
    """A picture as a data URI of a PNG with a palette; its width and height."""
    with Image.open(path) as picture:
        small = picture.convert("RGB").quantize(COLOURS, dither=Image.Dither.NONE)
    stream = io.BytesIO()
    small.save(stream, "PNG", optimize=True)
    code = base64.b64encode(stream.getvalue()).decode("ascii")
    return f"data:image/png;base64,{code}", *small.size


def figures(folder: Path = FOLDER) -> list[Figure]:
    """Figures of the page of figures whose pictures exist; empty without that page."""
    page, found = folder / "README.md", []
    sections = text.sections(page.read_text(encoding="utf-8")) if page.exists() else []
    for title, body in sections:
        match = PICTURE.search(body)
        if match and (folder / match[2]).exists():
            words = text.html(PICTURE.sub("", body), 4, title)
            found.append(Figure(title, match[1], words, *embedded(folder / match[2])))
    return found
