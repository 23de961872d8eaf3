"""How items get into the catalog: staged first, then merged in one short transaction.

An import of a million rows takes a minute, most of it text analysis, and must leave the catalog
as it was when it fails or is killed. So rows are checked, analyzed and written to a temporary
database first (`staging.py`); then a few SQL statements find what is new and what changed, within
the one transaction that others wait for (10 s for a million new rows, and readers do not wait at
all). Memory stays bounded: one chunk of items, and the page caches. `catalog.py` calls this.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from sqlite_utils import Database

from pyrec.errors import CatalogError
from pyrec.rows import COLUMNS, normalized, pack, pack_terms, unpack_attributes
from pyrec.staging import staging
from pyrec.store import Store
from pyrec.text import main_script
from pyrec.types import Item

_CHUNK_ITEMS = 5000
_CHUNK_CHARACTERS = 4_000_000
_TABLES = (
    "CREATE TABLE staging.items (staged_idx INTEGER PRIMARY KEY, item_id TEXT UNIQUE, "
    "title TEXT, text TEXT, price REAL, popularity REAL, attributes TEXT, terms BLOB)",
    "CREATE TABLE staging.fresh (place INTEGER PRIMARY KEY, staged_idx INTEGER)",
)
_CONTENT = "title, text, price, popularity, attributes, terms"


@dataclass(frozen=True)
class ImportReport:
    """What an import did to the catalog.

    Attributes:
        added: items that were not there.
        changed: items that were there with other content.
        unchanged: items that were there just so.
        duplicates: rows left out because a later row had the same id.
    """

    added: int = 0
    changed: int = 0
    unchanged: int = 0
    duplicates: int = 0


def import_items(store: Store, items: Iterable[Item]) -> ImportReport:
    """Add items to the catalog, replacing those with the same id; all of them, or none.

    Args:
        store: not within one of its transactions.
        items: read once, in chunks; of two with the same id the last one wins.

    Raises:
        CatalogError: an item that cannot be kept; the catalog stays as it was.
    """
    with staging(store, *_TABLES) as db:
        language = ""
        n_read = 0
        for chunk in _chunks(items):
            language = language or _language(db, chunk)
            _stage(db, chunk, language)
            n_read += len(chunk)
        n_staged = db.execute("SELECT count(*) FROM staging.items").fetchone()[0]
        if not n_staged:
            return ImportReport()
        with store.transact():
            added, changed = _merge(db, language)
    return ImportReport(added, changed, n_staged - added - changed, n_read - n_staged)


def _chunks(items: Iterable[Item]) -> Iterator[list[Item]]:
    chunk: list[Item] = []
    n_characters = 0
    for given in items:
        try:
            item = normalized(given)
        except ValueError as error:
            raise CatalogError(f"item {given.item_id!r}: {error}; nothing was imported") from error
        chunk.append(item)
        n_characters += len(item.title) + len(item.text)
        if len(chunk) == _CHUNK_ITEMS or n_characters > _CHUNK_CHARACTERS:
            yield chunk
            chunk = []
            n_characters = 0
    if chunk:
        yield chunk


def _language(db: Database, chunk: list[Item]) -> str:
    """Choose the language of the catalog: once, unless more is coming than is there."""
    items = {item.item_id: item for item in chunk}  # of rows with one id the last counts
    (n_items,) = db.execute("SELECT count(*) FROM main.items").fetchone()
    if n_items > len(items):
        (language,) = db.execute("SELECT value FROM facts WHERE name = 'language'").fetchone()
        return str(language)
    return main_script(item.title for item in items.values())


def _stage(db: Database, chunk: list[Item], language: str) -> None:
    with db.atomic():  # a deferred BEGIN that touches the staging file alone locks nothing else
        db.conn.executemany(
            f"INSERT OR REPLACE INTO staging.items ({COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?)",
            (pack(item, language) for item in chunk),
        )


def _merge(db: Database, language: str) -> tuple[int, int]:
    """Move what is new or different into the catalog; return how many of each."""
    facts = dict(db.execute("SELECT name, value FROM facts").fetchall())
    version = facts["catalog_version"] + 1
    changed = db.execute(
        f"UPDATE main.items SET ({_CONTENT}, version) = "
        f"({_of('s', _CONTENT)}, ?) FROM staging.items AS s "
        f"WHERE items.item_id = s.item_id AND ({_of('items', _CONTENT)}) IS NOT "
        f"({_of('s', _CONTENT)})",
        [version],
    ).rowcount
    # Numbered first, so that rows stay dense however many of those staged were known already.
    added = db.execute(
        "INSERT INTO staging.fresh (staged_idx) SELECT staged_idx FROM staging.items AS s "
        "WHERE NOT EXISTS (SELECT 1 FROM main.items WHERE item_id = s.item_id) ORDER BY staged_idx"
    ).rowcount
    db.execute(
        f"INSERT INTO main.items (item_idx, {COLUMNS}, version) "
        f"SELECT ? + place - 1, {_of('s', COLUMNS)}, ? "
        "FROM staging.fresh JOIN staging.items AS s USING (staged_idx) ORDER BY place",
        [facts["next_item_idx"], version],
    )
    again = 0 if language == facts["language"] else _analyze_again(db, language, version)
    if added or changed or again:
        db.conn.executemany(
            "UPDATE facts SET value = ? WHERE name = ?",
            [
                (version, "catalog_version"),
                (facts["next_item_idx"] + added, "next_item_idx"),
                (language, "language"),
            ],
        )
    return added, changed


def _analyze_again(db: Database, language: str, version: int) -> int:
    """Give all rows that were not staged the terms of another language; return how many changed."""
    n_changed = 0
    last = -1
    while rows := db.execute(
        "SELECT item_idx, title, text, attributes, terms FROM main.items "
        "WHERE item_idx > ? AND version < ? ORDER BY item_idx LIMIT 1000",
        [last, version],
    ).fetchall():
        last = rows[-1][0]
        for item_idx, title, text, attributes, terms in rows:
            again = pack_terms(title, text, unpack_attributes(attributes), language)
            if again != terms:
                db.execute(
                    "UPDATE main.items SET terms = ?, version = ? WHERE item_idx = ?",
                    [again, version, item_idx],
                )
                n_changed += 1
    return n_changed


def _of(table: str, columns: str) -> str:
    return ", ".join(f"{table}.{column}" for column in columns.split(", "))
