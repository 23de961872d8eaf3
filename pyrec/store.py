"""One SQLite file: how it is opened, protected and written.

Everything that keeps something goes through a `Store`. It opens one connection a thread (readers
never wait in WAL mode, and nobody sees another thread's open transaction). What was committed
survives a killed process and, with `synchronous=FULL`, a power cut
(https://www.sqlite.org/wal.html).
"""

from __future__ import annotations

import sqlite3
import threading
import uuid
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlite_utils import Database

from pyrec.connection import connect
from pyrec.errors import SchemaVersionError, StoreCorruptError, StoreError
from pyrec.schema import APPLICATION_ID, MIGRATIONS

MEMORY = ":memory:"
_OLDEST_SQLITE = (3, 37, 0)  # STRICT tables
_MAX_IDLE_WAL = 64 << 20  # bytes a write-ahead log keeps after a large import


class Store:
    """An open database file; safe to share between threads.

    Close it when no other thread is using it. A process that forks opens its own.
    """

    def __init__(self, path: str) -> None:
        """Use `Store.open`, which also checks the file and brings it up to date."""
        self.path = path
        # Every thread of an in-memory store has its own connection too, to one named database.
        self._target = f"file:/pyrec-{uuid.uuid4().hex}?vfs=memdb" if path == MEMORY else path
        self._local = threading.local()
        self._handles: weakref.WeakSet[_Handle] = weakref.WeakSet()
        self._handles_lock = threading.Lock()
        self._closed = False

    @classmethod
    def open(cls, path: str | Path) -> Store:
        """Open a database file, creating or migrating it, or `":memory:"`.

        Raises:
            StoreError: the path cannot be a database of pyrec's, or belongs to another program.
            StoreCorruptError: the file is no SQLite database, or it is damaged.
            SchemaVersionError: the file was written by a newer pyrec.
            StoreBusyError: another process kept it locked.
        """
        store = cls(str(path))
        try:
            store._prepare()
        except BaseException:
            store.close()
            raise
        return store

    @property
    def db(self) -> Database:
        """This thread's connection; outside `transact` each statement is its own transaction."""
        handle: _Handle | None = getattr(self._local, "handle", None)
        if handle is None or self._closed:
            if self._closed:
                raise StoreError(f"{self.path} was closed; open it again with pyrec.open")
            handle = _Handle(self._connect())
            self._local.handle = handle
            with self._handles_lock:
                self._handles.add(handle)
        return handle.db

    @contextmanager
    def transact(self) -> Iterator[Database]:
        """Write in one transaction: all of the block is kept, or nothing.

        It takes the write lock at once (`BEGIN IMMEDIATE`), waiting up to 30 s for it: a deferred
        transaction would fail, without waiting, where it turns from reading to writing. A block
        inside a block joins it, and is undone alone when it fails.

        Raises:
            StoreBusyError: another process wrote for longer than that.
        """
        db = self.db
        if db.conn.in_transaction:
            with db.atomic():
                yield db
            return
        db.execute("BEGIN IMMEDIATE")
        try:
            yield db
            db.execute("COMMIT")
        except BaseException:
            # SQLite has already rolled back after some errors, a full disk among them.
            if db.conn.in_transaction:
                db.execute("ROLLBACK")
            raise

    def derived(self, name: str) -> tuple[int, bytes] | None:
        """Return a derived array's catalog version and bytes, None where it was never kept."""
        row = self.db.execute("SELECT version, data FROM derived WHERE name = ?", [name]).fetchone()
        return None if row is None else (row[0], row[1])

    def keep_derived(self, name: str, version: int, data: bytes) -> None:
        """Keep bytes that were computed from the catalog at `version`, replacing older ones."""
        with self.transact() as db:
            db.execute("INSERT OR REPLACE INTO derived VALUES (?, ?, ?)", [name, version, data])

    def check(self) -> list[str]:
        """Read the whole file and list what is damaged; empty when nothing is."""
        try:
            found = [row[0] for row in self.db.execute("PRAGMA integrity_check").fetchall()]
        except StoreCorruptError as error:  # damaged where the check itself begins
            return [str(error)]
        return [] if found == ["ok"] else found

    def protections(self) -> dict[str, str | int]:
        """Say how this thread's connection is protected: SQLite's settings by name."""
        names = ("journal_mode", "synchronous", "busy_timeout", "mmap_size", "user_version")
        # Memory-mapped reading is off where the pragma answers nothing, as in memory.
        rows = {name: self.db.execute(f"PRAGMA {name}").fetchone() for name in names}
        return {name: row[0] if row else 0 for name, row in rows.items()}

    def close(self) -> None:
        """Close the connections of all threads; closing twice is fine."""
        self._closed = True
        with self._handles_lock:
            handles = list(self._handles)
        for handle in handles:
            handle.db.close()

    def __enter__(self) -> Store:
        """Return the store, to be closed by `with`."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the store."""
        self.close()

    def _connect(self) -> Database:
        connection = connect(self.path, self._target)
        try:
            db = Database(connection, execute_plugins=False)
            for pragma in (
                "synchronous=FULL",
                "fullfsync=ON",  # macOS: fsync alone leaves the data in the drive's cache
                "mmap_size=0",  # a failing disk would end the process instead of raising
                f"journal_size_limit={_MAX_IDLE_WAL}",
            ):
                db.execute(f"PRAGMA {pragma}")
        except BaseException:
            connection.close()
            raise
        return db

    def _prepare(self) -> None:
        """Look before touching: a file that is not ours must stay as it is."""
        if sqlite3.sqlite_version_info < _OLDEST_SQLITE:
            raise StoreError(
                f"SQLite {sqlite3.sqlite_version} is too old: pyrec needs 3.37; use a newer Python"
            )
        if self.path != MEMORY:
            _check_path(Path(self.path))
        self._check_owner()
        if self.path != MEMORY:
            mode = self.db.execute("PRAGMA journal_mode=WAL").fetchone()[0]
            if mode != "wal":
                raise StoreError(
                    f"{self.path} cannot keep a write-ahead log (journal mode stays {mode!r}); "
                    "move it to a local disk"
                )
        for number, migration in enumerate(MIGRATIONS, start=1):
            if self._schema_version() >= number:
                continue
            with self.transact() as db:
                self._check_owner()
                if self._schema_version() < number:  # another process may have been quicker
                    migration(db)
                    db.execute(f"PRAGMA application_id={APPLICATION_ID}")
                    db.execute(f"PRAGMA user_version={number}")

    def _schema_version(self) -> int:
        return int(self.db.execute("PRAGMA user_version").fetchone()[0])

    def _check_owner(self) -> None:
        application = self.db.execute("PRAGMA application_id").fetchone()[0]
        n_tables = self.db.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
        version = self._schema_version()
        if application != APPLICATION_ID and (application or n_tables or version):
            raise StoreError(
                f"{self.path} is a database of another program ({n_tables} tables and indexes, "
                "none of pyrec's); choose another file, pyrec will not change this one"
            )
        if version > len(MIGRATIONS):
            raise SchemaVersionError(
                f"{self.path} was written by a newer pyrec (schema {version}, this one knows "
                f"{len(MIGRATIONS)}); update pyrec, or choose another file"
            )


def is_text(text: str) -> bool:
    """Tell whether a string can be stored: lone surrogates, which JSON may carry, cannot."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


class _Handle:
    """A thread's connection, closed with the thread that it belonged to."""

    def __init__(self, db: Database) -> None:
        self.db = db

    def __del__(self) -> None:
        self.db.close()


def _check_path(path: Path) -> None:
    # SQLite says "unable to open database file" to all of these.
    try:
        if "\0" in str(path):
            raise ValueError("it holds a NUL character")
        if path.is_dir():
            raise StoreError(f"{path} is a folder; name a file in it, such as {path / 'shop.db'}")
        if not path.absolute().parent.is_dir():
            raise StoreError(f"the folder of {path} does not exist; create it first")
        if path.exists() and not path.is_file():
            raise StoreError(f"{path} is no regular file; name another one")
    except (OSError, ValueError) as error:  # too long, a NUL in it, a folder that may not be read
        raise StoreError(f"{str(path)!r} cannot be opened ({error}); name another file") from error
