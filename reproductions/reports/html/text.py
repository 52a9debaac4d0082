"""Markdown of this project's pages as HTML, with their pictures in it."""

from __future__ import annotations

import base64
import re
from pathlib import Path
from typing import Any

from markdown_it import MarkdownIt
from markupsafe import Markup

COMMENT = re.compile(r"<!--.*?-->", flags=re.DOTALL)
TAGS = {
    "link_open": "",  # links lead into the repository: their text is kept
    "link_close": "",
    "table_open": '<div class="scroll" tabindex="0"><table>',
    "table_close": "</table></div>",
    "th_open": '<th scope="col">',
    "td_open": "<td>",
}


def picture(path: Path, alt: str) -> Markup:
    """An image element with the PNG in it; "" where there is no such file."""
    if not path.exists():
        return Markup("")
    code = base64.b64encode(path.read_bytes()).decode("ascii")
    element = Markup('<div class="scroll" tabindex="0"><img src="{}" alt="{}"></div>')
    return element.format(f"data:image/png;base64,{code}", alt)


def parser(folder: Path) -> MarkdownIt:
    """Of pages in a folder, from which the paths of their pictures start."""
    markdown = MarkdownIt("commonmark", {"html": False}).enable("table")

    def image(_: Any, tokens: Any, place: int, *rest: Any) -> str:
        return picture(folder / tokens[place].attrs["src"], tokens[place].content)

    markdown.add_render_rule("image", image)
    for name, tag in TAGS.items():
        markdown.add_render_rule(name, lambda *_, tag=tag: tag)
    return markdown


def page(path: Path) -> Markup:
    """A page without its title, headings a level lower; "" where there is no such file."""
    if not path.exists():
        return Markup("")
    markdown = parser(path.parent)
    _, _, *tokens = markdown.parse(COMMENT.sub("", path.read_text(encoding="utf-8")))
    for token in tokens[1:]:
        if token.type.startswith("heading"):
            token.tag = f"h{int(token.tag[1]) + 1}"
    return Markup(markdown.renderer.render(tokens[1:], markdown.options, {}))


def inline(text: str) -> Markup:
    """A line of Markdown."""
    return Markup(parser(Path()).renderInline(text))
