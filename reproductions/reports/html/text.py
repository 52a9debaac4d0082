"""Markdown of this project's pages as HTML; every text in it is escaped."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from markupsafe import Markup, escape

COMMENT = re.compile(r"<!--.*?-->", flags=re.DOTALL)
LINK = re.compile(r"!?\[([^\]]*)\]\([^)]*\)")  # links lead into the repository: their text is kept
BOLD = re.compile(r"\*\*(.+?)\*\*")
ITEM = re.compile(r"(?:[-*]|(\d+)\.) +(.*)")
RULE = re.compile(r"[|\s:-]+")


def inline(text: str) -> Markup:
    """A line with code and bold text; links lose their target."""
    parts = LINK.sub(r"\1", text).split("`")
    if len(parts) % 2 == 0:  # a backtick without a partner
        parts = ["`".join(parts)]
    found = [
        f"<code>{escape(part)}</code>"
        if place % 2
        else BOLD.sub(r"<strong>\1</strong>", str(escape(part)))
        for place, part in enumerate(parts)
    ]
    return Markup("".join(found))


def cells(line: str) -> list[str]:
    """Cells of a line of a table."""
    return [cell.strip() for cell in line.strip().strip("|").split("|")]


def table(lines: Sequence[str], caption: str) -> Markup:
    """A table whose second line is the rule."""
    head, body = cells(lines[0]), [cells(line) for line in lines[2:]]
    heads = Markup("").join(
        Markup('<th scope="col">{}</th>').format(inline(cell)) if cell else Markup("<td></td>")
        for cell in head
    )
    rows = Markup("").join(
        Markup("<tr>{}</tr>").format(
            Markup("").join(
                Markup('<th scope="row">{}</th>' if place == 0 else "<td>{}</td>").format(
                    inline(cell)
                )
                for place, cell in enumerate(line)
            )
        )
        for line in body
    )
    return Markup(
        '<div class="scroll" tabindex="0" role="group" aria-label="{caption}"><table>'
        "<caption>{caption}</caption><thead><tr>{heads}</tr></thead><tbody>{rows}</tbody>"
        "</table></div>"
    ).format(caption=caption, heads=heads, rows=rows)


def items(lines: Sequence[str]) -> Markup:
    """A list, numbered where its first item is; other lines continue an item."""
    found: list[str] = []
    for line in lines:
        match = ITEM.match(line)
        if match:
            found.append(match[2])
        else:
            found[-1] += f" {line.strip()}"
    first = ITEM.match(lines[0])
    tag = "ol" if first and first[1] else "ul"
    inner = Markup("").join(Markup("<li>{}</li>").format(inline(item)) for item in found)
    return Markup(f"<{tag}>{{}}</{tag}>").format(inner)


def blocks(text: str) -> Iterator[list[str]]:
    """Blocks of lines that no empty line, and no heading, divides."""
    block: list[str] = []
    for line in [*COMMENT.sub("", text).splitlines(), ""]:
        if block and (not line.strip() or line.startswith("#")):
            yield block
            block = []
        if line.startswith("#"):
            yield [line]
        elif line.strip():
            block.append(line)


def divided(block: Sequence[str]) -> Iterator[list[str]]:
    """A paragraph and the list that follows it without an empty line."""
    start = next((i for i, line in enumerate(block) if ITEM.match(line)), len(block))
    yield from (list(part) for part in (block[:start], block[start:]) if part)


def html(text: str, level: int, caption: str) -> Markup:
    """A Markdown text.

    Args:
        text: Markdown.
        level: what a heading of `##` becomes, such as 3 for <h3>; `#` is dropped.
        caption: of tables above the first heading; below it is their caption.
    """
    found = []
    for block in blocks(text):
        if block[0].startswith("#"):
            marks, _, caption = block[0].partition(" ")
            if len(marks) > 1:
                tag = f"h{level + len(marks) - 2}"
                found.append(Markup(f"<{tag}>{{}}</{tag}>").format(inline(caption)))
        elif block[0].startswith("|") and len(block) > 1 and RULE.fullmatch(block[1]):
            found.append(table(block, caption))
        else:
            for part in divided(block):
                listed = ITEM.match(part[0])
                text_of = Markup("<p>{}</p>").format(inline(" ".join(part)))
                found.append(items(part) if listed else text_of)
    return Markup("\n").join(found)


def sections(text: str) -> list[tuple[str, str]]:
    """Title and text of each `## ` section."""
    parts = re.split(r"^## +(.*)$", text, flags=re.MULTILINE)[1:]
    return list(zip(parts[::2], parts[1::2], strict=True))
