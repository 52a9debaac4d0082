"""Text of files for a terminal or a page: it never acts there, it is only read."""

from __future__ import annotations

import unicodedata
from typing import Any

# Controls and invisible formats are dropped (escape codes begin with one, bidirectional marks turn
# a line round), lone surrogates cannot be printed.
DROPPED = frozenset({"Cc", "Cf"})
UNPRINTABLE = "Cs"


def plain(text: str) -> str:
    r"""A text on one line, without control characters.

    Line breaks and tabs become a space, half of a surrogate pair becomes U+FFFD. Markup of a page
    or a terminal library stays as it is written: whoever renders it has to turn markup off.

    >>> plain("\x1b[2Ja\tb\n[/bold]")
    '[2Ja b [/bold]'
    """
    return "".join(map(plain_character, text))


def plain_character(character: str) -> str:
    """A character as `plain` shows it."""
    if character.isspace():
        return " "
    kind = unicodedata.category(character)
    if kind in DROPPED:
        return ""
    return "\ufffd" if kind == UNPRINTABLE else character


def plain_texts(value: Any) -> Any:
    """A value of JSON with every text and name in it plain."""
    if isinstance(value, str):
        return plain(value)
    if isinstance(value, dict):
        return {plain(name): plain_texts(inner) for name, inner in value.items()}
    return [plain_texts(inner) for inner in value] if isinstance(value, list) else value
