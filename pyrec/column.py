"""One column of the catalog as arrays: numbers, or values that many rows share.

Each value points to the row that has it; a row may have several, or none. `columns.py` fills them
and asks them for the rows that meet a condition.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from pyrec.errors import CatalogError
from pyrec.filters import ORDERINGS, comparable
from pyrec.rows import value_text
from pyrec.types import Filter

I32 = npt.NDArray[np.int32]
F64 = npt.NDArray[np.float64]


@dataclass(frozen=True)
class NumberColumn:
    """A field that holds one number an item, such as the price.

    Attributes:
        item_idx: (m,) int32, the rows that have one, each once.
        numbers: (m,) float64.
    """

    item_idx: I32
    numbers: F64

    @classmethod
    def empty(cls) -> NumberColumn:
        """Make a column without values."""
        return cls(np.empty(0, np.int32), np.empty(0, np.float64))

    def rows(self, condition: Filter) -> I32:
        """Return the rows that meet a condition, `!=` read as `=`.

        Raises:
            CatalogError: it asks for an order between numbers and a text.
        """
        wanted = comparable(condition.value)
        if isinstance(wanted, str):
            if condition.op in ORDERINGS:
                raise _not_a_number(condition, "numbers")
            return np.empty(0, np.int32)
        compare = ORDERINGS.get(condition.op, np.equal)
        return np.asarray(self.item_idx[compare(self.numbers, wanted)])

    def by_row(self, n_items: int) -> F64:
        """Return the number of each row, (n_items,) float64, NaN where there is none."""
        numbers = np.full(n_items, np.nan)
        inside = self.item_idx < n_items
        numbers[self.item_idx[inside]] = self.numbers[inside]
        return numbers

    def counts(self) -> dict[str, int]:
        """Return how many rows have each number, the most frequent first."""
        numbers, counts = np.unique(self.numbers, return_counts=True)
        order = np.argsort(-counts, kind="stable")
        return {value_text(float(numbers[i])): int(counts[i]) for i in order}

    def updated(self, changed: I32, pairs: Iterable[tuple[int, float]]) -> NumberColumn:
        """Return the column with the numbers of changed rows replaced by those given."""
        added = np.fromiter(pairs, dtype=[("row", np.int32), ("number", np.float64)])
        kept = ~np.isin(self.item_idx, changed)
        return NumberColumn(
            np.concatenate([self.item_idx[kept], added["row"]]),
            np.concatenate([self.numbers[kept], added["number"]]),
        )


@dataclass(frozen=True)
class ValueColumn:
    """An attribute: strings or numbers, the same ones in many rows.

    Attributes:
        item_idx: (m,) int32 rows; one with several values is there several times.
        code: (m,) int32 places in `values`.
        values: the different values, as they were first written.
        codes: the same by what they are compared as.
    """

    item_idx: I32
    code: I32
    values: list[str]
    codes: dict[float | str, int]

    @classmethod
    def empty(cls) -> ValueColumn:
        """Make a column without values."""
        return cls(np.empty(0, np.int32), np.empty(0, np.int32), [], {})

    def rows(self, condition: Filter) -> I32:
        """Return the rows that have a value which meets a condition, `!=` read as `=`.

        Raises:
            CatalogError: it asks for an order between numbers and text.
        """
        wanted = comparable(condition.value)
        if condition.op not in ORDERINGS:
            code = self.codes.get(wanted, -1)
            return np.asarray(self.item_idx[self.code == code])
        compare = ORDERINGS[condition.op]
        if isinstance(wanted, float):
            if self.values and np.isnan(self._numbers).all():
                raise CatalogError(
                    f"filter {condition}: {condition.column} holds text, such as "
                    f"{self.values[0]!r}; compare it with text, or use = or !="
                )
            found = compare(self._numbers, wanted)  # false for NaN
        else:
            if self.values and not np.isnan(self._numbers).any():
                raise _not_a_number(condition, f"numbers, such as {self.values[0]}")
            texts = (isinstance(key, str) and compare(key, wanted) for key in self.codes)
            found = np.fromiter(texts, dtype=bool, count=len(self.codes))
        return np.asarray(self.item_idx[found[self.code]])

    def by_row(self, n_items: int) -> F64:
        """Return a number of each row, (n_items,) float64, NaN where there is none."""
        numbers = np.full(n_items, np.nan)
        inside = self.item_idx < n_items
        numbers[self.item_idx[inside]] = self._numbers[self.code[inside]]
        return numbers

    def counts(self) -> dict[str, int]:
        """Return how many rows have each value, the most frequent first, then as first met."""
        counts = np.bincount(self.code, minlength=len(self.values)).tolist()
        counted = Counter(dict(zip(self.values, counts, strict=True)))
        return {value: n for value, n in counted.most_common() if n}

    def updated(self, changed: I32, pairs: Iterable[tuple[int, str | float]]) -> ValueColumn:
        """Return the column with the values of changed rows replaced by those given."""
        values, codes = list(self.values), dict(self.codes)
        rows: list[int] = []
        added: list[int] = []
        for item_idx, value in pairs:
            code = codes.setdefault(comparable(value), len(codes))
            if code == len(values):
                values.append(value_text(value))
            rows.append(item_idx)
            added.append(code)
        kept = ~np.isin(self.item_idx, changed)
        return ValueColumn(
            np.concatenate([self.item_idx[kept], np.array(rows, dtype=np.int32)]),
            np.concatenate([self.code[kept], np.array(added, dtype=np.int32)]),
            values,
            codes,
        )

    @cached_property
    def _numbers(self) -> F64:
        """The values as numbers, (n_values,) float64, NaN where one is none."""
        numbers = [key if isinstance(key, float) else np.nan for key in self.codes]
        return np.array(numbers, dtype=np.float64)


def _not_a_number(condition: Filter, held: str) -> CatalogError:
    return CatalogError(
        f"filter {condition}: {condition.column} holds {held}, and {condition.value!r} is none; "
        "give a number"
    )
