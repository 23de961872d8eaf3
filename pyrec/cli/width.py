"""How wide a text is on a terminal, where a Chinese character takes two columns.

The tables and lists of `output.py` and `lists.py` are aligned and cut by this.
"""

from __future__ import annotations

import unicodedata

_ELLIPSIS = "…"


def printable(text: str) -> str:
    """Return a text on one line, without the control characters that could steer a terminal."""
    clean = "".join(" " if unicodedata.category(c) in ("Cc", "Zl", "Zp") else c for c in text)
    return " ".join(clean.split())


def width(text: str) -> int:
    """Count the columns of a text that is `printable`."""
    if text.isascii():
        return len(text)
    return sum(map(_columns, text))


def fit(text: str, columns: int) -> str:
    """Return the text, or as much of it as fits with a sign that it goes on."""
    if width(text) <= columns:
        return text
    left = columns - 1
    kept = []
    for character in text:
        left -= _columns(character)
        if left < 0:
            break
        kept.append(character)
    return "".join(kept).rstrip() + _ELLIPSIS


def pad(text: str, columns: int, *, right: bool = False) -> str:
    """Fill a text up with spaces; at its left where it is to stand right."""
    space = " " * (columns - width(text))
    return space + text if right else text + space


def _columns(character: str) -> int:
    if unicodedata.category(character) in ("Mn", "Me", "Cf"):
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1
