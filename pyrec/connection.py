"""A connection to SQLite whose statements raise pyrec's errors.

The one place where an error of SQLite is translated, whichever module's statement or reading of
rows met it. `store.py` opens these; nobody else does.
"""

from __future__ import annotations

import shutil
import sqlite3
from pathlib import Path
from typing import Any

from pyrec.errors import StoreBusyError, StoreCorruptError, StoreError

BUSY_TIMEOUT_S = 30.0


def connect(path: str, target: str) -> sqlite3.Connection:
    """Open `target`, a file or a URI, for this thread; errors will speak of `path`."""
    translation = _Translation(path)
    with translation:
        connection = sqlite3.connect(
            target,
            timeout=BUSY_TIMEOUT_S,
            isolation_level=None,  # no hidden BEGIN: `transact` alone begins
            check_same_thread=False,  # only so that `close` may close those of other threads
            uri=target != path,
            factory=_Connection,
        )
    connection.translation = translation
    return connection


class _Translation:
    """A context in which an error of SQLite is raised as pyrec's own."""

    def __init__(self, path: str) -> None:
        self._path = path

    def __enter__(self) -> None:
        """Do nothing: only what is raised matters."""

    def __exit__(self, _: object, error: BaseException | None, __: object) -> None:
        # Misused cursors and parameters (ProgrammingError) are the caller's slip, not the file's.
        if isinstance(error, sqlite3.DatabaseError) and not isinstance(
            error, sqlite3.ProgrammingError
        ):
            raise _translate(self._path, error) from error


class _Connection(sqlite3.Connection):
    """A connection whose statements raise pyrec's errors."""

    translation: _Translation

    def cursor(self, factory: Any = None) -> Any:
        cursor = super().cursor(_Cursor)
        cursor.translation = self.translation
        return cursor

    def execute(self, *args: Any) -> Any:
        return self.cursor().execute(*args)

    def executemany(self, *args: Any) -> Any:
        return self.cursor().executemany(*args)


class _Cursor(sqlite3.Cursor):
    """A cursor that raises pyrec's errors: SQLite also fails while rows are read."""

    translation: _Translation

    def execute(self, *args: Any) -> Any:
        with self.translation:
            return super().execute(*args)

    def executemany(self, *args: Any) -> Any:
        with self.translation:
            return super().executemany(*args)

    def fetchone(self) -> Any:
        with self.translation:
            return super().fetchone()

    def fetchmany(self, *args: Any, **named: Any) -> Any:
        with self.translation:
            return super().fetchmany(*args, **named)

    def fetchall(self) -> Any:
        with self.translation:
            return super().fetchall()

    def __iter__(self) -> Any:
        while rows := self.fetchmany(256):
            yield from rows


def _translate(path: str, error: sqlite3.Error) -> StoreError:
    # By message: error codes reach Python from 3.11 on only, and SQLite's wording does not change.
    message = str(error)
    if "locked" in message:
        return StoreBusyError(
            f"{path} is being written by another process (waited {BUSY_TIMEOUT_S:g} s); "
            "nothing was changed, try again"
        )
    if "malformed" in message or "not a database" in message:
        return StoreCorruptError(
            f"{path} is not a database, or it is damaged ({message}); restore a copy, or move it "
            "away and import the catalog again"
        )
    if "is full" in message:
        return StoreError(
            f"the disk is full: {path} could not be written ({_free(path)}; an import needs room "
            "in the folder for temporary files too); nothing was changed, make room and try again"
        )
    if "disk I/O" in message:
        return StoreError(
            f"the disk failed while {path} was used ({message}, {_free(path)}); make room if it "
            "is full, else check the disk"
        )
    if "readonly" in message or "unable to open" in message:
        return StoreError(
            f"{path} cannot be opened for writing ({message}); check that the file and its "
            "folder are yours, or choose another file"
        )
    return StoreError(f"{path}: {message}")


def _free(path: str) -> str:
    try:
        return f"{shutil.disk_usage(Path(path).absolute().parent).free / 1e6:.1f} MB free"
    except OSError:
        return "free space unknown"
