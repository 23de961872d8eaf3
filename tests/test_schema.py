from __future__ import annotations

import gzip
import sqlite3
from pathlib import Path

import pytest
from data.make_store import EVENTS, ITEMS

import pyrec.store
from pyrec.catalog import Catalog
from pyrec.errors import SchemaVersionError
from pyrec.events import EventLog
from pyrec.rows import pack
from pyrec.schema import APPLICATION_ID, MIGRATIONS
from pyrec.store import Store

KEPT = sorted((Path(__file__).parent / "data").glob("store_v*.db.gz"))


def tables(path: Path) -> dict[str, str]:
    connection = sqlite3.connect(path)
    found = dict(connection.execute("SELECT name, sql FROM sqlite_master WHERE sql NOT NULL"))
    connection.close()
    return found


def test_a_new_store_is_stamped_as_ours(store: Store) -> None:
    assert store.db.execute("PRAGMA application_id").fetchone() == (APPLICATION_ID,)
    assert store.db.execute("PRAGMA user_version").fetchone() == (len(MIGRATIONS),)


def test_opening_again_changes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "shop.db"
    Store.open(path).close()
    before = path.read_bytes()
    Store.open(path).close()
    assert path.read_bytes() == before


def test_a_store_of_a_newer_pyrec_is_refused_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "shop.db"
    with Store.open(path) as store:
        store.db.execute(f"PRAGMA user_version = {len(MIGRATIONS) + 1}")
    before = path.read_bytes()
    with pytest.raises(SchemaVersionError, match=r"shop\.db.*newer pyrec.*update pyrec"):
        Store.open(path)
    assert path.read_bytes() == before


def test_a_migration_is_applied_once_and_completely(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "shop.db"
    Store.open(path).close()

    def half(db) -> None:
        db.execute("CREATE TABLE half (a)")
        raise RuntimeError

    monkeypatch.setattr(pyrec.store, "MIGRATIONS", (*MIGRATIONS, half))
    with pytest.raises(RuntimeError):
        Store.open(path)
    assert "half" not in tables(path)
    whole = lambda db: db.execute("CREATE TABLE whole (a)")  # noqa: E731
    monkeypatch.setattr(pyrec.store, "MIGRATIONS", (*MIGRATIONS, whole))
    for _ in range(2):
        Store.open(path).close()
    assert "whole" in tables(path)


def test_catalog_and_personal_tables_do_not_refer_to_each_other(store: Store) -> None:
    for name in tables(Path(store.path)):
        assert store.db.execute(f"PRAGMA foreign_key_list({name})").fetchall() == []


@pytest.mark.parametrize("kept", KEPT, ids=lambda path: path.name)
def test_a_store_of_yesterday_opens_with_all_that_was_in_it(kept: Path, tmp_path: Path) -> None:
    path = tmp_path / "shop.db"
    path.write_bytes(gzip.decompress(kept.read_bytes()))
    with Store.open(path) as store:
        catalog, log = Catalog(store), EventLog(store)
        assert store.check() == []
        assert catalog.items([0, 1]) == list(ITEMS[:2])
        assert catalog.live().tolist() == [1, 1, 0]
        assert catalog.version == 2
        stored = [*log.history("u"), *log.history("v")]
        assert [(e.user_id, e.item_id, e.kind, e.value, e.at, e.session) for e in stored] == [
            (e.user_id, e.item_id, e.kind, e.value, e.at, e.session) for e in EVENTS
        ]
        assert store.derived("index") == (2, b"\x01\x02")
        assert catalog.add(ITEMS[:2]).unchanged == 2
        terms = [row[0] for row in store.db.execute("SELECT terms FROM items ORDER BY item_idx")]
        assert terms == [pack(item, "en")[-1] for item in ITEMS[:2]]
    fresh = tmp_path / "fresh.db"
    Store.open(fresh).close()
    assert tables(path) == tables(fresh)


def test_each_version_of_the_schema_has_a_store_that_is_kept() -> None:
    assert [path.name for path in KEPT] == [
        f"store_v{n}.db.gz" for n in range(1, len(MIGRATIONS) + 1)
    ]
