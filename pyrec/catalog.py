"""The catalog: items by their own id and by dense row, and what changed since when.

The one place where `item_id` and `item_idx` are turned into each other. Rows are dense from 0; one
that was removed stays empty and is never used for another item, so arrays over rows keep their
meaning. Each change raises `version`, and an index follows through `changes`.
"""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from pyrec.columns import Columns, ColumnSummary
from pyrec.errors import UnknownItemError
from pyrec.importing import ImportReport, import_items
from pyrec.rows import COLUMNS, TERM, unpack
from pyrec.store import Store, is_text
from pyrec.types import Filter, Item

I32 = npt.NDArray[np.int32]
U8 = npt.NDArray[np.uint8]

_CHUNK_ROWS = 50_000
_CHUNK_BYTES = 32 << 20


class TermRows(NamedTuple):
    """The terms of some items, row by row; a row without terms is one that was removed.

    Attributes:
        item_idx: (m,) int32, each once.
        ptr: (m + 1,) int64, where each row begins.
        terms: (ptr[m],) uint32 term hashes, each once in a row.
        weights: (ptr[m],) uint8, in eighths of an occurrence, even; odd where the title holds it.
    """

    item_idx: I32
    ptr: npt.NDArray[np.int64]
    terms: npt.NDArray[np.uint32]
    weights: U8


class Catalog:
    """The items of a store; safe to share between threads."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._columns = Columns(store)
        self._live: tuple[int, U8] | None = None

    @property
    def version(self) -> int:
        """A number that grows with each change of the catalog, 0 for a new one."""
        return int(self._fact("catalog_version"))

    @property
    def n_items(self) -> int:
        """Count the rows, removed ones included: one more than the highest `item_idx`."""
        return int(self._fact("next_item_idx"))

    @property
    def count(self) -> int:
        """Count the items."""
        (n_removed,) = self._store.db.execute("SELECT count(*) FROM removed").fetchone()
        return self.n_items - int(n_removed)

    @property
    def language(self) -> str:
        """The language most titles are in, a code of `text.LANGUAGES`; "en" for an empty one."""
        return str(self._fact("language"))

    def add(self, items: Iterable[Item]) -> ImportReport:
        """Add items, replacing those with the same id; all or none, see `importing`.

        Raises:
            CatalogError: an item that cannot be kept; the catalog stays as it was.
        """
        return import_items(self._store, items)

    def remove(self, item_ids: Iterable[str]) -> int:
        """Remove items; all or none.

        Returns:
            How many were removed.

        Raises:
            UnknownItemError: an id that is not there; the message lists near ones.
        """
        wanted = list(dict.fromkeys(item_ids))
        with self._store.transact() as db:
            rows = self.idxs(wanted).tolist()
            if -1 in rows:
                raise self._unknown(wanted[rows.index(-1)])
            if not rows:
                return 0
            version = self.version + 1
            models = db.execute("SELECT DISTINCT model FROM vectors").fetchall()
            for statement in (
                f"INSERT INTO removed VALUES (?, {version})",
                "DELETE FROM items WHERE item_idx = ?",
            ):
                db.conn.executemany(statement, [(row,) for row in rows])
            for (model,) in models:  # the key of vectors begins with the model
                db.conn.executemany(
                    "DELETE FROM vectors WHERE model = ? AND item_idx = ?",
                    [(model, row) for row in rows],
                )
            db.execute("UPDATE facts SET value = ? WHERE name = 'catalog_version'", [version])
        return len(rows)

    def item(self, item_id: str) -> Item:
        """Return an item.

        Raises:
            UnknownItemError: there is none with this id; the message lists near ones.
        """
        return unpack(self._row(COLUMNS, item_id))

    def idx(self, item_id: str) -> int:
        """Return the row of an item.

        Raises:
            UnknownItemError: there is none with this id; the message lists near ones.
        """
        return int(self._row("item_idx", item_id)[0])

    def idxs(self, item_ids: Iterable[str]) -> I32:
        """Return the rows of items in their order, (n,) int32; −1 for an id that is not there."""
        rows = self._store.db.execute(
            "SELECT ifnull(item_idx, -1) FROM json_each(?) LEFT JOIN items ON item_id = value "
            "ORDER BY key",
            [json.dumps(list(item_ids))],
        )
        return np.array([row[0] for row in rows.fetchall()], dtype=np.int32)

    def ids(self, item_idx: Iterable[int]) -> dict[int, str]:
        """Return the ids of the items of rows, by row; a row that holds none is left out."""
        rows = self._store.db.execute(
            "SELECT item_idx, item_id FROM json_each(?) JOIN items ON item_idx = value",
            [json.dumps([int(row) for row in item_idx])],
        )
        return dict(rows.fetchall())

    def items(self, item_idx: Iterable[int]) -> list[Item]:
        """Return the items of rows, in their order.

        Raises:
            UnknownItemError: a row holds none, or no longer.
        """
        wanted = [int(row) for row in item_idx]
        rows = self._store.db.execute(
            f"SELECT value, {COLUMNS} FROM json_each(?) JOIN items ON item_idx = value",
            [json.dumps(list(set(wanted)))],
        )
        found = {row[0]: unpack(row[1:]) for row in rows.fetchall()}
        if missing := set(wanted) - found.keys():
            raise UnknownItemError(
                f"row {min(missing)} of the catalog holds no item (it was removed, or never given "
                "out); ask again"
            )
        return [found[row] for row in wanted]

    def titles(self) -> Iterator[tuple[int, str]]:
        """Walk the rows and titles of all items, in the order of the rows."""
        last = -1
        while rows := self._store.db.execute(
            "SELECT item_idx, title FROM items WHERE item_idx > ? ORDER BY item_idx LIMIT 10000",
            [last],
        ).fetchall():
            yield from rows
            last = rows[-1][0]

    def changes(self, since_version: int) -> Iterator[TermRows]:
        """Walk the rows that changed after a version, removed ones as empty rows.

        In chunks that fit in memory, to be applied in their order. Read `version` before the first
        chunk and keep that as what was reached: what changes while this walks may appear, and
        appears again next time.
        """
        at = [since_version + 1, -1]
        while True:
            # In two parts, so that both are ranges of the index on version.
            cursor = self._store.db.execute(
                "SELECT * FROM (SELECT version, item_idx, terms FROM items "
                "WHERE version = :version AND item_idx > :last ORDER BY item_idx LIMIT :n) "
                "UNION ALL SELECT * FROM (SELECT version, item_idx, terms FROM items "
                "WHERE version > :version ORDER BY version, item_idx LIMIT :n) LIMIT :n",
                {"version": at[0], "last": at[1], "n": _CHUNK_ROWS},
            )
            rows: list[int] = []
            terms: list[bytes] = []
            n_bytes = 0
            for *at, packed in cursor:
                rows.append(at[1])
                terms.append(packed)
                n_bytes += len(packed)
                if n_bytes > _CHUNK_BYTES:
                    break
            cursor.close()
            if not rows:
                break
            yield _term_rows(rows, terms)
        # Last, so that an item removed while this walked ends as removed.
        gone = self._store.db.execute(
            "SELECT item_idx FROM removed WHERE version > ? ORDER BY item_idx", [since_version]
        ).fetchall()
        for first in range(0, len(gone), _CHUNK_ROWS):
            rows = [row for (row,) in gone[first : first + _CHUNK_ROWS]]
            yield _term_rows(rows, [b""] * len(rows))

    def n_changed(self, since_version: int) -> int:
        """Count the items that came, changed or went after a version."""
        sql = (
            "SELECT (SELECT count(*) FROM items WHERE version > ?1)"
            " + (SELECT count(*) FROM removed WHERE version > ?1)"
        )
        return int(self._store.db.execute(sql, [since_version]).fetchone()[0])

    def since(self, version: int) -> list[Item]:
        """Return the items that came or changed after a version."""
        rows = self._store.db.execute(f"SELECT {COLUMNS} FROM items WHERE version > ?", [version])
        return [unpack(row) for row in rows.fetchall()]

    def live(self) -> U8:
        """Return which rows hold an item: (n_items,) uint8, not to be written to."""
        cached = self._live
        if cached is None or cached[0] != self.version:
            with self._store.db.atomic() as db:  # one state for the three
                mask = np.ones(self.n_items, dtype=np.uint8)
                gone = db.execute("SELECT item_idx FROM removed").fetchall()
                mask[[row for (row,) in gone]] = 0
                mask.flags.writeable = False
                self._live = cached = (self.version, mask)
        return cached[1]

    def mask(self, filters: Sequence[Filter]) -> U8:
        """Return the items that meet all conditions: (n_items,) uint8; see `columns`.

        Raises:
            CatalogError: a column that no item has, or one that cannot be compared so.
        """
        live = self.live()
        mask: U8 = live.copy()
        if not live.any():
            return mask  # an empty catalog has no columns to miss
        for condition in filters:
            self._columns.restrict(mask, condition)
        return mask

    def numbers(self, column: str) -> npt.NDArray[np.float64]:
        """Return a column's number for each row: (n_items,) float64, NaN where there is none.

        Where an item has several, one of them.

        Raises:
            CatalogError: a column that no item has.
        """
        return self._columns.numbers(column, self.n_items)

    def columns(self) -> list[ColumnSummary]:
        """Describe what items can be filtered by: price, popularity, attributes by name."""
        return self._columns.summaries()

    def values(self, column: str) -> dict[str, int]:
        """Return how many items have each value of a column, the most frequent first.

        Raises:
            CatalogError: a column that no item has.
        """
        return self._columns.values(column)

    def coded(self, column: str) -> tuple[I32, I32]:
        """Return rows and the codes of their values, (m,) each; a row may have several or none.

        Raises:
            CatalogError: a column that no item has, or one of numbers alone (price, popularity).
        """
        return self._columns.coded(column)

    def _fact(self, name: str) -> int | str:
        row = self._store.db.execute("SELECT value FROM facts WHERE name = ?", [name]).fetchone()
        value: int | str = row[0]
        return value

    def _row(self, columns: str, item_id: str) -> tuple[Any, ...]:
        if is_text(item_id):
            found: tuple[Any, ...] | None = self._store.db.execute(
                f"SELECT {columns} FROM items WHERE item_id = ?", [item_id]
            ).fetchone()
            if found is not None:
                return found
        raise self._unknown(item_id)

    def _unknown(self, item_id: str) -> UnknownItemError:
        """Say that an item is unknown, with those whose id or title is like it."""
        db = self._store.db
        asked = item_id.encode("utf-8", "replace").decode()
        near = [
            row[0]
            for side in ("> ? ORDER BY item_id LIMIT 20", "< ? ORDER BY item_id DESC LIMIT 20")
            for row in db.execute(f"SELECT item_id FROM items WHERE item_id {side}", [asked])
        ]
        near = difflib.get_close_matches(asked[:200], near, n=3)
        # People type the title where an id is asked for.
        near += [
            row[0]
            for row in db.execute(
                "SELECT item_id FROM items WHERE title = ? COLLATE NOCASE LIMIT 3", [asked]
            )
            if row[0] not in near
        ]
        if near:
            advice = f"did you mean {', '.join(near)}?"
        elif self.count:
            advice = "look for it with recommend, or import it"
        else:
            advice = "the catalog is empty, import one first"
        return UnknownItemError(f"item {item_id[:200]!r} is not in the catalog; {advice}")


def _term_rows(rows: list[int], packed: list[bytes]) -> TermRows:
    records = np.frombuffer(b"".join(packed), dtype=TERM)
    ptr = np.zeros(len(rows) + 1, dtype=np.int64)
    np.cumsum([len(row) // TERM.itemsize for row in packed], out=ptr[1:])
    return TermRows(
        np.array(rows, dtype=np.int32),
        ptr,
        np.ascontiguousarray(records["term"], dtype=np.uint32),
        np.ascontiguousarray(records["weight"]),
    )
