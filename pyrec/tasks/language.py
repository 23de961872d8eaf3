"""The language to answer people in: that of their words, else the catalog's."""

from __future__ import annotations

from pyrec.text import main_script


def language_of(text: str, otherwise: str) -> str:
    """Return the language of a text's script, a code; `otherwise` where it has no letter."""
    return main_script([text]) if any(c.isalpha() for c in text) else otherwise
