"""A temporary database beside a store, in which an import gathers its rows before it is merged.

One transaction around all of an import would keep everyone else from writing while a file is read.
So rows are checked and written to a nameless temporary file first, which SQLite removes however
the process ends; then a few SQL statements move them within one transaction. `importing.py` and
`event_importing.py` call this.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from sqlite_utils import Database

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
    (cache,) = db.execute("PRAGMA main.cache_size").fetchone()
    db.execute("ATTACH '' AS staging")  # no name: a temporary file that nobody else can see
    try:
        db.execute(f"PRAGMA main.cache_size = -{_CACHE_KIB}")
        db.execute(f"PRAGMA staging.cache_size = -{_CACHE_KIB}")
        for table in tables:
            db.execute(table)
        yield db
    finally:
        db.execute("DETACH staging")
        db.execute(f"PRAGMA main.cache_size = {cache}")
        db.execute("PRAGMA shrink_memory")  # else the large cache stays with the connection
