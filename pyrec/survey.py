"""What a catalog's columns hold, as people name it in questions: numbers, years, values by name.

`phrasebook.py` keeps one beside the phrases; the need task looks words of a question up in it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np

from pyrec.catalog import Catalog
from pyrec.text import SPACELESS, analyze, fold
from pyrec.types import Item

MAX_VALUES = 30_000
"""Values by name, the most frequent of all columns; more would take long to read at a start."""
MAX_WORDS = 6
"""Longer values are sentences: nobody names them in a question."""
MAX_CHARACTERS = 12
"""The same for values in scripts without spaces."""
_YEARS = (1000, 2200)
_SPACELESS = re.compile(f"[{SPACELESS}]")


class Named(NamedTuple):
    """A value that a column holds: as the catalog writes it, and in how many items."""

    column: str
    value: str
    n_items: int


class Range(NamedTuple):
    """The numbers of a column: the least, the largest, and whether all are whole."""

    low: float
    high: float
    whole: bool


@dataclass(frozen=True)
class Survey:
    """The columns of one catalog.

    Attributes:
        numbers: columns of numbers, price and popularity included.
        values: columns of text, with how many items have each value.
    """

    numbers: Mapping[str, Range]
    values: Mapping[str, Mapping[str, int]]

    @cached_property
    def by_words(self) -> dict[str, list[Named]]:
        """Values by their analyzed words with spaces between, the most frequent first."""
        return self._by(key_of)

    @cached_property
    def by_characters(self) -> dict[str, list[Named]]:
        """Values that hold a spaceless script, by their folded text, the most frequent first."""
        return self._by(lambda value: fold(value) if _SPACELESS.search(value) else "")

    def year(self) -> str | None:
        """Return the column that holds years, None where none does."""
        named = [n for n in self.numbers if re.search(r"year|date|年", n, re.IGNORECASE)]
        others = [n for n in self.numbers if n not in ("price", "popularity", *named)]
        for name in (*named, *others):
            low, high, whole = self.numbers[name]
            # Ancient books have years below zero; a column with such a name may hold them.
            if whole and high >= _YEARS[0] and high < _YEARS[1] and (name in named or low >= 1800):
                return name
        return None

    def rating(self) -> str | None:
        """Return the column that says how good items were found, None where none does."""
        for pattern in (r"average.?rating|rating.?average|评分", r"rating(?!s)|stars|score|评价"):
            for name, (_, high, _) in self.numbers.items():
                if re.search(pattern, name, re.IGNORECASE) and high <= 100:
                    return name
        return None

    def adding(self, items: Iterable[Item]) -> Survey:
        """Return a survey that knows the columns of further items as well."""
        numbers = dict(self.numbers)
        values = {column: dict(counts) for column, counts in self.values.items()}
        for item in items:
            fields = {"price": item.price, "popularity": item.popularity, **item.attributes}
            for column, held in fields.items():
                if isinstance(held, float):
                    low, high, whole = numbers.get(column, (held, held, True))
                    whole = whole and held.is_integer()
                    numbers[column] = Range(min(low, held), max(high, held), whole)
                    continue
                for value in (held,) if isinstance(held, str) else held or ():
                    if is_name(value):
                        counts = values.setdefault(column, {})
                        counts[value] = counts.get(value, 0) + 1
        return Survey(numbers, values)

    def as_json(self) -> dict[str, Any]:
        """Return it as `from_json` takes it."""
        return {"numbers": {n: list(r) for n, r in self.numbers.items()}, "values": self.values}

    @classmethod
    def from_json(cls, told: Mapping[str, Any]) -> Survey:
        """Make it from what `as_json` gave."""
        numbers = {name: Range(*of) for name, of in told["numbers"].items()}
        return cls(numbers, told["values"])

    def _by(self, key_of: Any) -> dict[str, list[Named]]:
        found: dict[str, list[Named]] = {}
        for column, values in self.values.items():
            for value, n in values.items():
                if key := key_of(value):
                    found.setdefault(key, []).append(Named(column, value, n))
        for named in found.values():
            named.sort(key=lambda each: -each.n_items)
        return found


def key_of(value: str) -> str:
    """Return what a value is looked up by in a question: its analyzed words."""
    return "" if _SPACELESS.search(value) else " ".join(analyze(value, "en"))


def survey(catalog: Catalog) -> Survey:
    """Read what the columns of a catalog hold."""
    numbers: dict[str, Range] = {}
    counted: list[tuple[int, str, str]] = []
    for column in catalog.columns():
        if column.kind == "number":
            held = catalog.numbers(column.name)
            held = held[np.isfinite(held)]
            if len(held):
                low, high = float(held.min()), float(held.max())
                numbers[column.name] = Range(low, high, bool((held == np.rint(held)).all()))
            continue
        for value, n in catalog.values(column.name).items():
            if is_name(value):
                counted.append((n, column.name, value))
    counted.sort(key=lambda each: (-each[0], each[1], each[2]))
    values: dict[str, dict[str, int]] = {}
    for n, name, value in counted[:MAX_VALUES]:
        values.setdefault(name, {})[value] = n
    return Survey(numbers, values)


def is_name(value: str) -> bool:
    """Tell whether people may name a value in a question: short, and not a number or a link."""
    if len(value) > 80 or not any(c.isalpha() for c in value):
        return False
    if _SPACELESS.search(value):
        return 2 <= len(value) <= MAX_CHARACTERS
    return 0 < len(analyze(value, "en")) <= MAX_WORDS
