"""Which column of a file holds which field: as the caller says, else by names people commonly use.

`fields.py` looks for those of an item with it, `event_fields.py` for those of an event.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence

from pyrec.errors import CatalogError
from pyrec.text import fold


class Headings:
    """Finds the columns of fields by their names."""

    def __init__(
        self,
        names: Mapping[str, str],
        required: Collection[str],
        asked: Mapping[str, str] | None,
        *,
        id_field: str,
        other_ids: Collection[str] = (),
    ) -> None:
        """Choose what to look for.

        Args:
            names: by field the usual names of its column, folded and without punctuation,
                separated by spaces, the most telling first.
            required: fields that must have a column.
            asked: column by field; a field not named is guessed, one given as "" has no column.
            id_field: the field that any column whose name ends with "id" may hold.
            other_ids: names that end so and hold something else.

        Raises:
            ValueError: a field is asked for that there is not.
        """
        self._names = {field: listed.split() for field, listed in names.items()}
        self._required = frozenset(required)
        self._asked = dict(asked or {})
        self._id_field = id_field
        self._other_ids = frozenset(other_ids)
        self._resolved: dict[tuple[str, ...], dict[str, str]] = {}
        for field in self._asked:
            if field not in names:
                raise ValueError(f"there is no field {field!r}; map one of {', '.join(names)}")

    def of(self, names: tuple[str, ...]) -> Mapping[str, str]:
        """Return what `resolve` does, which is remembered: many rows have the same names."""
        columns = self._resolved.get(names)
        if columns is None:
            columns = self.resolve(names)
            if len(self._resolved) < 1000:  # rows of JSON may all differ
                self._resolved[names] = columns
        return columns

    def resolve(self, names: Sequence[str]) -> dict[str, str]:
        """Return the column of each field that has one.

        Raises:
            CatalogError: a column that was asked for is not there, or a required one is not known.
        """
        listed = ", ".join(name for name in names if name) or "none"
        by_name = {re.sub(r"[\W_]+", "", fold(name)): name for name in reversed(names)}
        found: dict[str, str] = {}
        for field, usual in self._names.items():
            asked = self._asked.get(field)
            if asked and asked not in names:
                raise CatalogError(f"no column {asked!r} for the {field}; there are {listed}")
            taken = {*self._asked.values(), *found.values()}
            column = _first(usual, by_name, taken) if asked is None else asked
            if column:
                found[field] = column
        if self._id_field not in found and self._asked.get(self._id_field) is None:
            ids = (n for n in by_name if n.endswith("id") and n not in self._other_ids)
            if column := _first(ids, by_name, {*self._asked.values(), *found.values()}):
                found[self._id_field] = column  # movieId, book_id
        for field in self._names:
            if field in self._required and field not in found:
                raise CatalogError(
                    f"no column is known to hold the {field}; there are {listed}: say which it is "
                    f"(--column {field}=NAME), or call it {field}"
                )
        return found


def _first(usual: Iterable[str], by_name: Mapping[str, str], taken: Collection[str]) -> str:
    columns = (by_name.get(name, "") for name in usual)
    return next((column for column in columns if column and column not in taken), "")
