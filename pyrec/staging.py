"""A temporary database beside a store, in which an import gathers its rows before it is merged.

One transaction around all of an import would keep everyone else from writing while a file is read.
So rows are checked and written to a nameless temporary file first, which SQLite removes however
the process ends; then a few SQL statements move them within one transaction. `importing.py` and
`event_importing.py` call this.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress

from sqlite_utils import Database

from pyrec.errors import StoreError
from pyrec.store import Store

# An index is written in the order of the rows, so it should fit: that of a million ids does.
_CACHE_KIB = 48 << 10


@contextmanager
def staging(store: Store, *tables: str) -> Iterator[Database]:
    """Attach an empty database called `staging` to this thread's connection, for a while.

    Args:
        store: not within one of its transactions.
        tables: the statements that create what it holds.
    """
    db = store.db
    if db.conn.in_transaction:
        raise ValueError("an import makes its own transaction; call it outside store.transact()")
    if any(name == "staging" for _, name, _ in db.execute("PRAGMA database_list").fetchall()):
        db.execute("DETACH staging")  # an interrupted import had to leave it, see below
    (cache,) = db.execute("PRAGMA main.cache_size").fetchone()
    db.execute("ATTACH '' AS staging")  # no name: a temporary file that nobody else can see
    try:
        db.execute(f"PRAGMA main.cache_size = -{_CACHE_KIB}")
        db.execute(f"PRAGMA staging.cache_size = -{_CACHE_KIB}")
        for table in tables:
            db.execute(table)
        yield db
    except BaseException:
        # An interrupt can come between a BEGIN and the block that would roll it back, or leave a
        # statement half read, which keeps the file attached. What is under way must be told, not
        # that; the file holds nothing that counts, and goes with the connection at the latest.
        db.conn.rollback()
        with suppress(StoreError):
            _leave(db, cache)
        raise
    _leave(db, cache)


def _leave(db: Database, cache: int) -> None:
    db.execute(f"PRAGMA main.cache_size = {cache}")
    db.execute("PRAGMA shrink_memory")  # else the large cache stays with the connection
    db.execute("DETACH staging")
