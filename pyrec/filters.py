"""Conditions on items, as people write them, and what makes two values equal.

Strings are equal when `text.fold` makes them equal, and equal as numbers when both are written as
numbers ("2008.0" is 2008, but "007" is not 7: it is a code). `columns.py` applies conditions; the
doors and the need task parse them here.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable
from typing import Any

from pyrec.errors import CatalogError
from pyrec.text import fold
from pyrec.types import Filter

ORDERINGS: dict[str, Callable[[Any, Any], Any]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
OPERATORS = ("=", "!=", *ORDERINGS)

_SPLIT = re.compile("(<=|>=|!=|<>|==|=|<|>)")
_ALIASES = {"==": "=", "<>": "!="}
# Up to 15 digits, which a float keeps, and no leading zeros, which a number has no use for.
_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]{0,14})(?:\.[0-9]{1,15})?")


def parse_filter(text: str) -> Filter:
    """Read a condition such as `price<=50`, `category=shoes` or `brand != "A & B"`.

    Raises:
        CatalogError: there is no operator in it, or nothing before it.
    """
    column, *rest = _SPLIT.split(text, maxsplit=1)
    if not rest or not column.strip():
        raise CatalogError(
            f"filter {text!r} is not a condition; write it like price<=50 or category=shoes"
        )
    op, value = _ALIASES.get(rest[0], rest[0]), rest[1].strip()
    if len(value) > 1 and value[0] == value[-1] and value[0] in "\"'":
        return Filter(column.strip(), op, value[1:-1])
    number = as_number(value)
    return Filter(column.strip(), op, value if number is None else number)


def as_number(text: str) -> float | None:
    """Return the number that a string is, None where it is text or a code."""
    return float(text) if _NUMBER.fullmatch(text) else None


def comparable(value: str | float) -> float | str:
    """Return what a value is compared as: a number, or folded text."""
    if not isinstance(value, str):
        return float(value)
    number = as_number(value.strip())
    return fold(value) if number is None else number
