"""The tables, as numbered migrations; `store.py` applies those that a file has not seen.

A migration that has shipped is never edited, only followed by another. Catalog tables (`items`,
`removed`, `vectors`, `derived`, `facts`) and personal ones (`events`, `event_removals`, `weights`,
`said`, `own_weights`, `slates`, `steps`, `befores`, `paused`) never refer to each other by foreign
key, so that a catalog can later be a read-only file attached beside a small private one. `PRAGMA
user_version` counts the migrations applied, `PRAGMA application_id` says that the file is pyrec's
(https://www.sqlite.org/fileformat2.html#the_database_header).
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from sqlite_utils import Database

from pyrec.text import analyze, hash_terms

APPLICATION_ID = 0x70795243  # "pyRC"


def _m001_catalog_and_events(db: Database) -> None:
    """Create the catalog and the personal side."""
    _run(
        db,
        # item_idx is dense from 0 and never used twice: facts.next_item_idx hands it out.
        # terms: 5 bytes a term, see rows.py. version: the catalog's when the row last changed.
        """
        CREATE TABLE items (
            item_idx INTEGER PRIMARY KEY,
            item_id TEXT NOT NULL UNIQUE,
            title TEXT NOT NULL,
            text TEXT NOT NULL,
            price REAL,
            popularity REAL,
            attributes TEXT NOT NULL,
            terms BLOB NOT NULL,
            version INTEGER NOT NULL
        ) STRICT
        """,
        "CREATE INDEX items_version ON items (version)",
        """
        CREATE TABLE removed (
            item_idx INTEGER PRIMARY KEY,
            version INTEGER NOT NULL
        ) STRICT
        """,
        "CREATE INDEX removed_version ON removed (version)",
        # One model's vectors lie together, in the order of the rows, because they are read so.
        # digest: of the text that was embedded; version: of the catalog when it was last compared;
        # vector: int8, times scale.
        """
        CREATE TABLE vectors (
            item_idx INTEGER NOT NULL,
            model TEXT NOT NULL,
            digest TEXT NOT NULL,
            version INTEGER NOT NULL,
            vector BLOB NOT NULL,
            scale REAL NOT NULL,
            PRIMARY KEY (model, item_idx)
        ) STRICT, WITHOUT ROWID
        """,
        # Arrays that can be computed again: dropped or ignored where the version does not match.
        """
        CREATE TABLE derived (
            name TEXT PRIMARY KEY,
            version INTEGER NOT NULL,
            data BLOB NOT NULL
        ) STRICT
        """,
        # Single values about the catalog.
        """
        CREATE TABLE facts (
            name TEXT PRIMARY KEY,
            value ANY NOT NULL
        ) STRICT, WITHOUT ROWID
        """,
        """
        INSERT INTO facts VALUES ('catalog_version', 0), ('next_item_idx', 0), ('language', 'en')
        """,
        # AUTOINCREMENT: the number of an event that was undone is not given to another.
        """
        CREATE TABLE events (
            event_id INTEGER PRIMARY KEY AUTOINCREMENT,
            user_id TEXT NOT NULL,
            item_id TEXT NOT NULL,
            kind TEXT NOT NULL,
            value REAL,
            at REAL NOT NULL,
            session TEXT
        ) STRICT
        """,
        "CREATE INDEX events_user ON events (user_id, event_id)",
        # θ of the mixer by feature; user_id '' is the shared one. g2: AdaGrad's sum of squares.
        """
        CREATE TABLE weights (
            user_id TEXT NOT NULL DEFAULT '',
            name TEXT NOT NULL,
            value REAL NOT NULL,
            g2 REAL NOT NULL DEFAULT 0,
            PRIMARY KEY (user_id, name)
        ) STRICT, WITHOUT ROWID
        """,
    )


# By name, so that a large import can drop them and create them again, see event_importing.py. Both
# end with the row's number, as every index does: they give (user_id, at, event_id) and
# (at, event_id) in order.
EVENT_INDEXES = {
    "events_user": "CREATE INDEX events_user ON events (user_id, at)",
    "events_at": "CREATE INDEX events_at ON events (at)",
    # Few, and asked for with every question of a user, however long the rest of the history is.
    "events_shown": "CREATE INDEX events_shown ON events (user_id, at) WHERE kind = 'impression'",
    "events_disliked": "CREATE INDEX events_disliked ON events (user_id) WHERE kind = 'dislike'",
}


def _m002_events_by_time(db: Database) -> None:
    """Order events by their time, and keep a log of those that were taken back."""
    _run(
        db,
        "DROP INDEX events_user",
        EVENT_INDEXES["events_user"],
        EVENT_INDEXES["events_at"],
        # A session without a name is none; files of events cannot tell the two apart.
        "UPDATE events SET session = NULL WHERE session = ''",
        # Whose history lost an event, for processes that keep something computed from the log.
        """
        CREATE TABLE event_removals (
            removal_id INTEGER PRIMARY KEY AUTOINCREMENT,
            user_id TEXT NOT NULL
        ) STRICT
        """,
    )


def _m003_said(db: Database) -> None:
    """Keep what users say of attribute values themselves."""
    _run(
        db,
        """
        CREATE TABLE said (
            user_id TEXT NOT NULL,
            attribute TEXT NOT NULL,
            value TEXT NOT NULL,
            likes INTEGER NOT NULL,
            at REAL NOT NULL,
            PRIMARY KEY (user_id, attribute, value)
        ) STRICT
        """,
    )


def _m004_feedback(db: Database) -> None:
    """Keep what was shown, and what each event taught."""
    _run(
        db,
        # A user's own theta, added to the shared one. names: signals as JSON; theta and g2:
        # float32, four a signal.
        """
        CREATE TABLE own_weights (
            user_id TEXT PRIMARY KEY,
            names TEXT NOT NULL,
            theta BLOB NOT NULL,
            g2 BLOB NOT NULL
        ) STRICT, WITHOUT ROWID
        """,
        # A list that was shown, by place. version: the last step of theta that made it. shares:
        # float32, what each signal said of each item, in proportion to its pool. propensities:
        # JSON, how likely each item was at its place; NULL where nothing was left to chance. The
        # first n_shown items were shown, the others could have been.
        """
        CREATE TABLE slates (
            slate_id INTEGER PRIMARY KEY AUTOINCREMENT,
            user_id TEXT NOT NULL,
            at REAL NOT NULL,
            version INTEGER NOT NULL,
            names TEXT NOT NULL,
            context REAL NOT NULL,
            words INTEGER NOT NULL,
            items TEXT NOT NULL,
            n_shown INTEGER NOT NULL,
            scores BLOB NOT NULL,
            shares BLOB NOT NULL,
            propensities TEXT
        ) STRICT
        """,
        "CREATE INDEX slates_user ON slates (user_id)",
        # An event that moved theta. nth: how many events of the user had before; seen: the last
        # event of the log that the evidence knew; slate_id: the list it was chosen from, NULL for
        # none.
        """
        CREATE TABLE steps (
            event_id INTEGER PRIMARY KEY,
            user_id TEXT NOT NULL,
            nth INTEGER NOT NULL,
            seen INTEGER NOT NULL,
            slate_id INTEGER
        ) STRICT
        """,
        "CREATE INDEX steps_user ON steps (user_id)",
        # What theta was before the newest steps, and before the first since a training. data:
        # float64, by names: shared theta and g2, then the user's own.
        """
        CREATE TABLE befores (
            event_id INTEGER PRIMARY KEY,
            names TEXT NOT NULL,
            data BLOB NOT NULL
        ) STRICT
        """,
        *(EVENT_INDEXES[name] for name in ("events_shown", "events_disliked")),
        # Users of whom nothing is kept now.
        "CREATE TABLE paused (user_id TEXT PRIMARY KEY) STRICT, WITHOUT ROWID",
    )


def _m005_terms_of_titles(db: Database) -> None:
    """Mark which of an item's terms its title holds, by the lowest bit of their weights."""
    (language,) = db.execute("SELECT value FROM facts WHERE name = 'language'").fetchone()
    packed = np.dtype([("term", "<u4"), ("weight", "u1")])
    last = -1
    while rows := db.execute(
        "SELECT item_idx, title, terms FROM items WHERE item_idx > ? ORDER BY item_idx LIMIT 1000",
        [last],
    ).fetchall():
        marked = []
        for item_idx, title, terms in rows:
            row = np.frombuffer(terms, packed).copy()
            in_title = set(hash_terms(analyze(title, language)).tolist())
            held = np.array([term in in_title for term in row["term"].tolist()], np.uint8)
            row["weight"] = (row["weight"] & 254) + held
            marked.append((row.tobytes(), item_idx))
        db.conn.executemany("UPDATE items SET terms = ? WHERE item_idx = ?", marked)
        last = rows[-1][0]


MIGRATIONS: tuple[Callable[[Database], None], ...] = (
    _m001_catalog_and_events,
    _m002_events_by_time,
    _m003_said,
    _m004_feedback,
    _m005_terms_of_titles,
)


def _run(db: Database, *statements: str) -> None:
    # One by one: sqlite3's executescript would commit the transaction that the migration runs in.
    for statement in statements:
        db.execute(statement)
