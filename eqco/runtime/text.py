"""Text for a terminal or a page: text of files never acts there, and a stream can encode it.

A terminal of ASCII, a log of Latin-1, a file name that is not UTF-8: tables keep their columns.
"""

from __future__ import annotations

import codecs
import sys
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
    if text.isascii() and text.isprintable():
        return text
    return "".join(map(plain_character, text))


def plain_character(character: str) -> str:
    """A character as `plain` shows it."""
    if character.isspace():
        return " "
    kind = unicodedata.category(character)
    if kind in DROPPED:
        return ""
    return "\ufffd" if kind == UNPRINTABLE else character


CLEAR = "\r\x1b[K"  # begins a line that is written over the last one


class SanitizedStream:
    """A stream that writes each line as `plain` has it; `CLEAR` may stand before one.

    >>> print("a\x1b[2J", file=SanitizedStream(sys.stdout))
    a[2J
    """

    def __init__(self, stream: Any) -> None:
        self.stream = stream

    def __getattr__(self, name: str) -> Any:
        return getattr(self.stream, name)

    def write(self, text: str) -> int:
        """Write a text; returns its length."""
        head = CLEAR if text.startswith(CLEAR) else ""
        self.stream.write(head + "\n".join(map(plain, text[len(head) :].split("\n"))))
        return len(text)


def plain_texts(value: Any) -> Any:
    """A value of JSON with every text and name in it plain."""
    if isinstance(value, str):
        return plain(value)
    if isinstance(value, dict):
        return {plain(name): plain_texts(inner) for name, inner in value.items()}
    return [plain_texts(inner) for inner in value] if isinstance(value, list) else value


HANDLER = "eqco"
ONE = dict(zip("–—−‑→←↑↓√Δα·•×…’‘“”✓✗≈", "----><^vVDa.*x.''\"\"vx~", strict=True))
TWO = {"±": "+-", "≥": ">=", "≤": "<="}  # they take the place of the space behind them
BOX, BLOCKS = range(0x2500, 0x2580), range(0x2580, 0x25A0)
RISING = dict(zip("▁▂▃▄▅▆▇", "_.-:=+*", strict=True))  # a full block is "#"
RAW = range(0xDC80, 0xDD00)  # bytes of file names that are not UTF-8, as Python keeps them


def ascii_lookalike(character: str) -> str:
    """ASCII characters that look like one, one for one where there are such; else an escape.

    >>> [ascii_lookalike(each) for each in ("─", "²", "ü", "\\udce9")]
    ['-', '2', 'u', '\\\\xe9']
    """
    code = ord(character)
    if code in BOX:
        name = unicodedata.name(character)
        return "-" if name.endswith("HORIZONTAL") else "|" if name.endswith("VERTICAL") else "+"
    if code in BLOCKS:
        return RISING.get(character, "#")
    if code in RAW:
        return f"\\x{code - 0xDC00:02x}"
    plain = unicodedata.normalize("NFKD", character)[0]
    known = ONE.get(character) or TWO.get(character)
    return known or (plain if plain.isascii() else ascii(character)[1:-1])


def replace(error: UnicodeError) -> tuple[str, int]:
    """The error handler of codecs: `ascii_lookalike` of what cannot be encoded."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    text, place = error.object, error.start
    lookalike = ascii_lookalike(text[place])
    takes_space = text[place] in TWO and text[place + 1 : place + 2] == " "
    return lookalike, place + 1 + takes_space


def escape_unencodable(*streams: Any) -> None:
    """Let streams, by default those of this process, write what they cannot encode by `replace`."""
    codecs.register_error(HANDLER, replace)
    for stream in streams or (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):  # not where a test or a notebook has its own
            stream.reconfigure(errors=HANDLER)
