"""An item as a row of the `items` table: checked, packed, unpacked.

The import packs, the catalog unpacks. `terms` is what text search knows of an item: for each
distinct term 5 bytes, its hash as uint32 and its weight as uint8, little-endian, so that the rows
of a whole chunk are one NumPy array. Weights are even, but for the terms of the title.
"""

from __future__ import annotations

import json
import math
import re
import struct
from collections.abc import Mapping
from typing import Any

import numpy as np

from pyrec.store import is_text
from pyrec.text import analyze, hash_terms
from pyrec.types import AttributeValue, Item

# What one occurrence of a term counts in each field, in eighths of an occurrence in the title. Even
# numbers: the lowest bit of their sum says that the title holds the term.
FIELD_WEIGHTS = {"title": 8, "attributes": 6, "text": 4}
TERM = np.dtype([("term", "<u4"), ("weight", "u1")])

COLUMNS = "item_id, title, text, price, popularity, attributes, terms"
Row = tuple[str, str, str, float | None, float | None, str, bytes]

_JSON = json.JSONEncoder(ensure_ascii=False, sort_keys=True, separators=(",", ":"))
# A line break in an id is what an unclosed quote looks like; a NUL or half a surrogate is no text.
_NOT_IN_IDS = re.compile("[\x00-\x1f\ud800-\udfff]")
_EMBEDDED_CHARACTERS = 1000  # some 250 tokens; small embedding models read 512
_EXACT_INTEGERS = 2.0**53


def normalized(item: Item) -> Item:
    """Check an item and return it as the store will give it back.

    Numbers become floats, lists of strings tuples; what is empty among the attributes is left out.
    Lone surrogates, which no file can hold, and NUL, where SQLite's functions end a text, become
    U+FFFD.

    Raises:
        ValueError: why the item cannot be kept, in words that follow its name or line.
    """
    attributes = {}
    for name, value in item.attributes.items():
        name = _clean("name of an attribute", name)
        kept = _attribute(name, value)
        if kept is not None:
            attributes[name] = kept
    return Item(
        _checked_id(item.item_id),
        _clean("title", item.title),
        _clean("text", item.text),
        _amount("price", item.price),
        _amount("popularity", item.popularity),
        attributes,
    )


def pack(item: Item, language: str) -> Row:
    """Turn a normalized item into the values of `COLUMNS`."""
    return (
        item.item_id,
        item.title,
        item.text,
        item.price,
        item.popularity,
        _JSON.encode(item.attributes),
        pack_terms(item.title, item.text, item.attributes, language),
    )


def unpack(row: tuple[Any, ...]) -> Item:
    """Turn the first six of `COLUMNS` back into an item."""
    return Item(row[0], row[1], row[2], row[3], row[4], unpack_attributes(row[5]))


def unpack_attributes(packed: str) -> dict[str, AttributeValue]:
    """Read the `attributes` column."""
    values = json.loads(packed)
    return {name: tuple(v) if type(v) is list else v for name, v in values.items()}


def pack_terms(
    title: str, text: str, attributes: Mapping[str, AttributeValue], language: str
) -> bytes:
    """Weigh the terms of an item's fields: `TERM` records, each once, 254 at most and the bit."""
    weights: dict[int, int] = {}
    in_title: set[int] = set()
    described = " ; ".join(map(value_text, attributes.values()))
    for field, content in (("title", title), ("attributes", described), ("text", text)):
        if content:
            weight = FIELD_WEIGHTS[field]
            for term in hash_terms(analyze(content, language)).tolist():
                weights[term] = weights.get(term, 0) + weight
            if field == "title":
                in_title = set(weights)
    flat: list[int] = []
    for term, weight in weights.items():
        flat += (term, min(weight, 254) + (term in in_title))
    # struct: NumPy is slower where there are a dozen terms.
    return struct.pack("<" + "IB" * len(weights), *flat)


def value_text(value: AttributeValue) -> str:
    """Write an attribute's value for people and for search; whole numbers without a point."""
    if isinstance(value, str):
        return value
    if isinstance(value, tuple | list):
        return " ; ".join(value)
    return str(int(value)) if value.is_integer() and abs(value) < _EXACT_INTEGERS else repr(value)


def described(item: Item) -> str:
    """Return an item's title and the words of its attributes' values, without its long text."""
    values = [value_text(v) for v in item.attributes.values() if not isinstance(v, float)]
    return ". ".join(part for part in (item.title, *values) if part)


def digest_text(item: Item) -> str:
    """Return what an embedding model is to read of an item: title, words of its values, text."""
    parts = (described(item), item.text)
    return ". ".join(part for part in parts if part)[:_EMBEDDED_CHARACTERS]


def _checked_id(item_id: Any) -> str:
    if not isinstance(item_id, str):
        raise ValueError(f"the id {item_id!r} is not a string")
    if not item_id.strip():
        raise ValueError("the id is empty")
    if _NOT_IN_IDS.search(item_id):
        raise ValueError(f"the id {item_id[:80]!r} holds a control character or broken Unicode")
    return item_id


def _clean(name: str, text: Any) -> str:
    if not isinstance(text, str):
        raise ValueError(f"the {name} {text!r} is not a string")
    clean: str = text.replace("\0", "\ufffd")
    if not is_text(clean):
        clean = clean.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return clean


def _amount(name: str, value: Any) -> float | None:
    if value is None:
        return None
    number = _finite(name, value)
    if number < 0:
        raise ValueError(f"the {name} {value!r} is below zero")
    return number


def _finite(name: str, value: Any) -> float:
    try:
        if isinstance(value, str | bytes | bool):
            raise TypeError
        number = float(value)
    except OverflowError:
        number = math.inf
    except (TypeError, ValueError):
        raise ValueError(f"the {name} {value!r} is not a number") from None
    if not math.isfinite(number):
        raise ValueError(f"the {name} {value!r} is not a finite number")
    return number


def _attribute(name: str, value: Any) -> AttributeValue | None:
    if not name.strip():
        raise ValueError("an attribute has no name")
    if isinstance(value, str):
        return _clean(name, value) or None
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list | tuple | set | frozenset):
        members = sorted(value) if isinstance(value, set | frozenset) else value
        texts = [
            _clean(name, m if isinstance(m, str) else value_text(_finite(name, m))) for m in members
        ]
        return tuple(dict.fromkeys(text for text in texts if text)) or None
    return None if value is None else _finite(name, value)
