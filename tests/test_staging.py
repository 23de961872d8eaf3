"""The temporary database of an import: it goes with the import, however that ends."""

from __future__ import annotations

import pytest

from pyrec.staging import staging
from pyrec.store import Store


def attached(store: Store) -> list[str]:
    return [row[1] for row in store.db.execute("PRAGMA database_list").fetchall()]


def test_an_interrupt_is_told_as_such_and_the_next_import_works(store: Store) -> None:
    half = []

    def interrupted() -> None:
        with staging(store, "CREATE TABLE staging.t (x)") as db:
            db.execute("INSERT INTO staging.t VALUES (1), (2)")
            db.execute("BEGIN IMMEDIATE")  # a signal can come before what would roll it back,
            half.append(db.execute("SELECT x FROM staging.t"))
            half[0].fetchone()  # and leave a statement half read, which keeps the file attached
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert not store.db.conn.in_transaction
    half.clear()
    with staging(store, "CREATE TABLE staging.t (x)") as db:
        assert db.execute("SELECT count(*) FROM staging.t").fetchone() == (0,)
    assert "staging" not in attached(store)


def test_it_is_gone_after_an_error(store: Store) -> None:
    with pytest.raises(ZeroDivisionError), staging(store, "CREATE TABLE staging.t (x)"):
        raise ZeroDivisionError
    assert "staging" not in attached(store)
