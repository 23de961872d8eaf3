from __future__ import annotations

import gc
import os
import shutil
import sqlite3
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from sqlite_utils import Database

import pyrec.connection
from pyrec.errors import StoreBusyError, StoreCorruptError, StoreError
from pyrec.events import EventLog
from pyrec.store import Store
from pyrec.types import Event


def users(store: Store) -> list[str]:
    return [row[0] for row in store.db.execute("SELECT user_id FROM events ORDER BY event_id")]


def add_user(db: Database, user_id: str) -> None:
    db.execute(
        "INSERT INTO events (user_id, item_id, kind, at) VALUES (?, 'i', 'like', 1)", [user_id]
    )


def fail_after_adding(store: Store, user_id: str) -> None:
    with store.transact() as db:
        add_user(db, user_id)
        raise RuntimeError


@pytest.fixture
def short_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pyrec.connection, "BUSY_TIMEOUT_S", 0.05)


def test_each_connection_is_protected_against_power_loss(store: Store) -> None:
    expected = {"journal_mode": "wal", "synchronous": 2, "busy_timeout": 30000, "mmap_size": 0}
    assert store.protections().items() >= expected.items()
    seen = []
    thread = threading.Thread(target=lambda: seen.append(store.protections()))
    thread.start()
    thread.join()
    assert seen[0].items() >= expected.items()


def test_a_transaction_keeps_all_of_its_block_or_nothing(store: Store) -> None:
    with store.transact() as db:
        add_user(db, "kept")
    with pytest.raises(RuntimeError):
        fail_after_adding(store, "lost")
    assert users(store) == ["kept"]


def test_a_transaction_inside_another_is_undone_alone(store: Store) -> None:
    with store.transact() as outer:
        add_user(outer, "outer")
        with pytest.raises(RuntimeError):
            fail_after_adding(store, "inner")
        with store.transact() as inner:
            add_user(inner, "second")
    assert users(store) == ["outer", "second"]


def test_a_transaction_takes_the_write_lock_at_once(tmp_path: Path, short_wait: None) -> None:
    with Store.open(tmp_path / "a.db") as one, Store.open(tmp_path / "a.db") as two:
        with one.transact(), pytest.raises(StoreBusyError, match=r"a\.db.*try again"):
            two.transact().__enter__()
        with two.transact() as db:
            add_user(db, "later")
        assert users(one) == ["later"]


def test_readers_see_the_last_commit_and_do_not_wait_for_a_writer(store: Store) -> None:
    seen = []
    with store.transact() as db:
        add_user(db, "u")
        thread = threading.Thread(target=lambda: seen.append(users(store)))
        thread.start()
        thread.join()
    assert seen == [[]]
    assert users(store) == ["u"]


@pytest.mark.parametrize("path", [":memory:", "shop.db"])
def test_threads_write_at_the_same_time_without_losing_anything(path: str, tmp_path: Path) -> None:
    store = Store.open(path if path == ":memory:" else tmp_path / path)

    def work(name: str) -> None:
        log = EventLog(store)
        for i in range(20):
            log.append(Event(name, str(i), "like"))

    threads = [threading.Thread(target=work, args=[f"u{i}"]) for i in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with store:
        for i in range(8):
            history = EventLog(store).history(f"u{i}")
            assert [event.item_id for event in history] == [str(n) for n in range(20)]


def test_a_thread_that_ends_closes_its_connection(store: Store) -> None:
    threads = [threading.Thread(target=lambda: users(store)) for _ in range(5)]
    for thread in threads:
        thread.start()
        thread.join()
    gc.collect()
    assert len(store._handles) <= 1


def test_in_memory_stores_are_separate_and_leave_no_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with Store.open(":memory:") as one, Store.open(":memory:") as two:
        with one.transact() as db:
            add_user(db, "u")
        assert users(one) == ["u"]
        assert users(two) == []
    assert os.listdir(tmp_path) == []


def test_a_closed_store_says_so(tmp_path: Path) -> None:
    store = Store.open(tmp_path / "shop.db")
    store.close()
    store.close()
    with pytest.raises(StoreError, match=r"shop\.db was closed"):
        store.db.execute("SELECT 1")


def test_closing_the_last_connection_leaves_one_file(tmp_path: Path) -> None:
    with Store.open(tmp_path / "shop.db") as store, store.transact() as db:
        add_user(db, "u")
    assert os.listdir(tmp_path) == ["shop.db"]


def test_an_empty_file_becomes_a_store(tmp_path: Path) -> None:
    path = tmp_path / "new.db"
    path.touch()
    with Store.open(path) as store:
        assert users(store) == []


@pytest.mark.parametrize(
    "content", [b"not a database at all", os.urandom(5000), b"id,title\n" * 99]
)
def test_a_file_that_is_no_database_is_refused_and_left_alone(
    tmp_path: Path, content: bytes
) -> None:
    path = tmp_path / "notes.txt"
    path.write_bytes(content)
    with pytest.raises(StoreCorruptError, match=r"notes\.txt is not a database.*restore a copy"):
        Store.open(path)
    assert path.read_bytes() == content
    assert os.listdir(tmp_path) == ["notes.txt"]


def test_a_database_of_another_program_is_refused_and_left_alone(tmp_path: Path) -> None:
    tables, stamped = tmp_path / "tables.db", tmp_path / "stamped.db"
    for path, statement in (
        (tables, "CREATE TABLE items (a)"),
        (stamped, "PRAGMA application_id = 1196444487"),
    ):
        connection = sqlite3.connect(path)
        connection.execute(statement)
        connection.close()
        before = path.read_bytes()
        with pytest.raises(StoreError, match=r"another program.*choose another file"):
            Store.open(path)
        assert path.read_bytes() == before
    assert sorted(os.listdir(tmp_path)) == ["stamped.db", "tables.db"]


def test_a_damaged_database_is_named_when_the_damage_is_met(tmp_path: Path) -> None:
    path = tmp_path / "shop.db"
    with Store.open(path) as store, store.transact() as db:
        for i in range(2000):
            add_user(db, f"user {i}")
    data = bytearray(path.read_bytes())
    data[-8192:] = os.urandom(8192)
    path.write_bytes(data)
    with Store.open(path) as store:
        assert store.check() != []
        with pytest.raises(StoreCorruptError, match=r"shop\.db.*damaged"):
            store.db.execute("SELECT * FROM events").fetchall()
        with pytest.raises(StoreCorruptError):
            for _ in store.db.execute("SELECT * FROM events"):
                pass


def test_a_sound_database_passes_the_check(store: Store) -> None:
    assert store.check() == []


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        (".", "is a folder"),
        ("missing/shop.db", "does not exist; create it first"),
        ("file/shop.db", "does not exist"),
        ("x" * 300, "cannot be opened"),
        ("a\0b", "NUL"),
    ],
)
def test_a_path_that_cannot_be_a_database_is_named(tmp_path: Path, path: str, reason: str) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StoreError, match=reason):
        Store.open(tmp_path / path)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_a_pipe_is_refused_instead_of_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(StoreError, match="no regular file"):
        Store.open(tmp_path / "pipe")


def test_a_full_database_says_what_to_do_and_keeps_what_was_there(store: Store) -> None:
    with store.transact() as db:
        add_user(db, "before")
    pages = store.db.execute("PRAGMA page_count").fetchone()[0]
    store.db.execute(f"PRAGMA max_page_count = {pages + 2}")
    with (
        pytest.raises(StoreError, match=r"full.*shop\.db.*MB free.*make room"),
        store.transact() as db,
    ):
        add_user(db, "x" * 100_000)
    assert users(store) == ["before"]
    store.db.execute("PRAGMA max_page_count = 1000000")
    with store.transact() as db:
        add_user(db, "after")
    assert users(store) == ["before", "after"]


@pytest.fixture
def tiny_disk(tmp_path: Path):
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = shutil.which("mount")
    options = ["-t", "tmpfs", "-o", "size=1m", "tmpfs", str(disk)]
    if not mount or subprocess.run([mount, *options], capture_output=True).returncode:
        pytest.skip("may not mount a small disk here")
    yield disk
    subprocess.run(["umount", "-l", str(disk)], check=True)


def test_a_full_disk_says_what_to_do_and_keeps_what_was_there(tiny_disk: Path) -> None:
    with Store.open(tiny_disk / "shop.db") as store:
        with store.transact() as db:
            add_user(db, "before")
        with pytest.raises(StoreError, match=r"full|failed"), store.transact() as db:
            add_user(db, "x" * 2_000_000)
        assert users(store) == ["before"]
        with store.transact() as db:
            add_user(db, "after")
    with Store.open(tiny_disk / "shop.db") as store:
        assert users(store) == ["before", "after"]
        assert store.check() == []


def test_a_disk_without_any_room_cannot_hold_a_new_store(tiny_disk: Path) -> None:
    with pytest.raises(OSError):
        (tiny_disk / "filler").write_bytes(b"x" * (2 << 20))
    with pytest.raises(StoreError, match=r"shop\.db.*room"):
        Store.open(tiny_disk / "shop.db")


def test_derived_arrays_are_kept_with_the_version_they_were_made_at(store: Store) -> None:
    assert store.derived("index") is None
    store.keep_derived("index", 1, b"old")
    store.keep_derived("index", 2, b"new")
    assert store.derived("index") == (2, b"new")


def test_processes_that_open_a_new_file_together_all_succeed(tmp_path: Path) -> None:
    script = (
        "import sys\n"
        "from pyrec.events import EventLog\n"
        "from pyrec.store import Store\n"
        "from pyrec.types import Event\n"
        "sys.stdin.readline()\n"
        "with Store.open(sys.argv[1]) as store:\n"
        "    EventLog(store).append(Event(sys.argv[2], 'i', 'like'))\n"
    )
    path = tmp_path / "shop.db"
    workers = [
        subprocess.Popen(
            [sys.executable, "-c", script, str(path), f"u{i}"],
            stdin=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for i in range(4)
    ]
    for worker in workers:
        worker.stdin.write("go\n")
        worker.stdin.flush()
    for worker in workers:
        assert worker.communicate()[1] == ""
        assert worker.returncode == 0
    with Store.open(path) as store:
        assert sorted(users(store)) == ["u0", "u1", "u2", "u3"]
