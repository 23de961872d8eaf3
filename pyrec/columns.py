"""What items can be filtered by: price, popularity, their id and attributes.

A column is read from the store when it is first asked for, and later follows the changed rows
alone. `catalog.py` makes the masks that all signals rank under from these.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from sqlite_utils import Database

from pyrec.column import I32, NumberColumn, ValueColumn
from pyrec.errors import CatalogError
from pyrec.filters import OPERATORS
from pyrec.rows import value_text
from pyrec.store import Store, is_text
from pyrec.text import fold
from pyrec.types import Filter

_FIELDS = ("price", "popularity")
_LISTED = 30  # column names in a message
# What `filters.as_number` reads as one, in SQL: digits with a point at most, no leading zero.
_IS_NUMBER = (
    "type IN ('real', 'integer') OR (ltrim(value, '-') GLOB '[0-9]*' "
    "AND ltrim(value, '-') NOT GLOB '*[^0-9.]*' AND value NOT GLOB '*.*.*' "
    "AND ltrim(value, '-') NOT GLOB '0[0-9]*')"
)


@dataclass(frozen=True)
class ColumnSummary:
    """A column that items can be filtered by.

    Attributes:
        name: as filters write it.
        kind: `number` where all values are numbers or written as such, else `text`.
        n_items: how many items have it.
        n_values: how many different values there are; a list counts as one.
    """

    name: str
    kind: str
    n_items: int
    n_values: int


class Columns:
    """The columns of a store's catalog; safe to share between threads."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._lock = threading.Lock()
        # With the version of the catalog that each was read at.
        self._columns: dict[str, tuple[int, NumberColumn | ValueColumn]] = {}
        self._names: tuple[int, frozenset[str]] = (0, frozenset())
        self._summaries: tuple[int, list[ColumnSummary]] | None = None

    def restrict(self, mask: npt.NDArray[np.uint8], condition: Filter) -> None:
        """Set `mask` to 0 for the rows that do not meet a condition.

        `=` and the orderings hold where any of an item's values meets them, never for an item
        without one; `!=` holds where `=` does not.

        Raises:
            CatalogError: a column that no item has, or one that cannot be compared so.
        """
        if condition.op not in OPERATORS:
            raise CatalogError(
                f"filter {condition}: {condition.op!r} is none of {' '.join(OPERATORS)}"
            )
        if condition.column == "item_id":
            rows = self._rows_of_id(condition)
        else:
            rows = self._column(condition.column).rows(condition)
        found = np.zeros_like(mask)
        found[rows[rows < len(mask)]] = 1
        np.logical_and(mask, 1 - found if condition.op == "!=" else found, out=mask)

    def numbers(self, name: str, n_items: int) -> npt.NDArray[np.float64]:
        """Return a number for each row, NaN where there is none; see `Catalog.numbers`."""
        return self._column(name).by_row(n_items)

    def values(self, name: str) -> dict[str, int]:
        """Return how many items have each value, the most frequent first."""
        return self._column(name).counts()

    def coded(self, name: str) -> tuple[I32, I32]:
        """Return rows and the codes of their values; see `Catalog.coded`."""
        column = self._column(name)
        if isinstance(column, NumberColumn):
            raise CatalogError(f"{name} holds numbers; ask for them by `numbers`")
        return column.item_idx, column.code

    def summaries(self) -> list[ColumnSummary]:
        """Describe the columns: the fields, then the attributes by name."""
        with self._lock, self._store.db.atomic() as db:
            version = _version(db)
            if self._summaries is None or self._summaries[0] != version:
                self._summaries = (version, _summaries(db))
            return list(self._summaries[1])

    def _rows_of_id(self, condition: Filter) -> I32:
        if condition.op not in ("=", "!="):
            raise CatalogError(f"filter {condition}: item_id takes = or != only")
        item_id = value_text(condition.value)
        rows = (
            self._store.db.execute("SELECT item_idx FROM items WHERE item_id = ?", [item_id])
            if is_text(item_id)
            else ()
        )
        return np.array([row for (row,) in rows], dtype=np.int32)

    def _column(self, asked: str) -> NumberColumn | ValueColumn:
        """Return a column as the catalog is now."""
        with self._lock, self._store.db.atomic() as db:  # atomic: one state for all that is read
            version = _version(db)
            name = self._resolve(db, version, asked)
            since, column = self._columns.get(name, (0, None))
            if since == version and column is not None:
                return column
            changed = _changed(db, since) if column is not None else np.empty(0, np.int32)
            if name in _FIELDS:
                numbers = column if isinstance(column, NumberColumn) else NumberColumn.empty()
                column = numbers.updated(changed, _numbers(db, name, since))
            else:
                values = column if isinstance(column, ValueColumn) else ValueColumn.empty()
                column = values.updated(changed, _values(db, name, since))
            self._columns[name] = (version, column)
        return column

    def _resolve(self, db: Database, version: int, asked: str) -> str:
        """Return the name of a column as the catalog writes it."""
        if asked in _FIELDS:
            return asked
        since, names = self._names
        if since != version:
            rows = db.execute(
                "SELECT DISTINCT key FROM items, json_each(attributes) WHERE version > ?", [since]
            )
            names = names.union(row[0] for row in rows)
            self._names = (version, names)
        if asked in names:
            return asked
        alike = [name for name in (*_FIELDS, *sorted(names)) if fold(name) == fold(asked)]
        if alike:
            return alike[0]
        listed = [*_FIELDS, "item_id", *sorted(names)]
        more = f" and {len(listed) - _LISTED} more" if len(listed) > _LISTED else ""
        raise CatalogError(
            f"no item has a column {asked!r}; there are {', '.join(listed[:_LISTED])}{more}"
        )


def _version(db: Database) -> int:
    return int(db.execute("SELECT value FROM facts WHERE name = 'catalog_version'").fetchone()[0])


def _summaries(db: Database) -> list[ColumnSummary]:
    # In SQL, because a column of a million different values need not be in memory for this.
    summaries = []
    for name in _FIELDS:
        counts = db.execute(f"SELECT count({name}), count(DISTINCT {name}) FROM items").fetchone()
        if counts[0]:
            summaries.append(ColumnSummary(name, "number", *counts))
    rows = db.execute(
        f"SELECT key, min({_IS_NUMBER}), count(*), count(DISTINCT value) "
        "FROM items, json_each(attributes) GROUP BY key ORDER BY key"
    )
    for name, all_numbers, n_items, n_values in rows.fetchall():
        if name not in _FIELDS:
            kind = "number" if all_numbers else "text"
            summaries.append(ColumnSummary(name, kind, n_items, n_values))
    return summaries


def _changed(db: Database, since: int) -> I32:
    rows = db.execute(
        "SELECT item_idx FROM items WHERE version > ? UNION ALL "
        "SELECT item_idx FROM removed WHERE version > ?",
        [since, since],
    )
    return np.fromiter((row for (row,) in rows), dtype=np.int32)


def _numbers(db: Database, field: str, since: int) -> Iterator[tuple[int, float]]:
    yield from db.execute(
        f"SELECT item_idx, {field} FROM items WHERE version > ? AND {field} IS NOT NULL", [since]
    )


def _values(db: Database, attribute: str, since: int) -> Iterator[tuple[int, str | float]]:
    rows = db.execute(
        "SELECT item_idx, value, type FROM items, json_each(attributes) "
        "WHERE version > ? AND key = ?",
        [since, attribute],
    )
    for item_idx, value, kind in rows:
        for member in json.loads(value) if kind == "array" else [value]:
            yield item_idx, member
