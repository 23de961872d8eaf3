"""The log of what users did; it is appended to, and its newest entry can be undone.

The recommender writes it together with the step of θ that an event causes; the signals read a
user's history from it. An event is on the disk when `append` returns. Item ids are not checked
against the catalog: a log may outlive its items, and the two never share a foreign key.

Everywhere the order is that of (`at`, `event_id`). Events whose time is unknown have `at` 0: they
come before all others, in the order in which they arrived. Times of one user that are equal come
from a file that does not say what was first.
"""

from __future__ import annotations

import math
import time
from collections.abc import Collection, Iterable, Iterator
from dataclasses import replace
from typing import Any

from pyrec.event_importing import EventImportReport, import_events
from pyrec.event_rules import checked
from pyrec.store import Store
from pyrec.types import EVENT_KINDS, Event

# Kinds that say nothing about what a user knows: shown, or passed over.
_NOT_SEEN = ("impression", "skip")
_COLUMNS = "user_id, item_id, kind, value, at, session, event_id"

Row = tuple[str, str, str, float | None, float, int]
"""`user_id`, `item_id`, `kind`, `value`, `at` and `event_id` of an event."""
_ROW = "user_id, item_id, kind, value, at, event_id"


class EventLog:
    """The event log of a store."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def append(self, event: Event) -> Event:
        """Log an event; it is durable when this returns.

        Args:
            event: `at` 0 means now, or just after the newest event of the log where a clock was
                set back: what happens last is the last in order.

        Returns:
            The event as stored, with its time and `event_id`.

        Raises:
            InvalidEventError: its kind is unknown, or an id, value or time makes no sense.
        """
        return self.append_many([event])[0]

    def append_many(self, events: Iterable[Event]) -> list[Event]:
        """Log events in their order, all or none; see `append`."""
        given = [checked(event) for event in events]
        with self._store.transact() as db:
            stored = []
            (newest,) = db.execute("SELECT ifnull(max(at), 0.0) FROM events").fetchone()
            for event in given:
                at = event.at or max(time.time(), math.nextafter(newest, math.inf))
                newest = max(newest, at)
                cursor = db.execute(
                    "INSERT INTO events (user_id, item_id, kind, value, at, session) "
                    "VALUES (?, ?, ?, ?, ?, ?)",
                    [
                        event.user_id,
                        event.item_id,
                        event.kind,
                        event.value,
                        at,
                        event.session,
                    ],
                )
                stored.append(replace(event, at=at, event_id=cursor.lastrowid))
        return stored

    def add(self, events: Iterable[Event]) -> EventImportReport:
        """Add a log from elsewhere; all of it, or nothing. Adding it again adds nothing.

        Args:
            events: read once, in chunks; `at` 0 means that the time is unknown. The n-th of equal
                ones is the n-th in the log.

        Raises:
            InvalidEventError: an event that `append` would not take, or one of more than a day in
                the future; the log stays as it was.
        """
        return import_events(self._store, events)

    def history(
        self, user_id: str, limit: int | None = None, kinds: Collection[str] | None = None
    ) -> list[Event]:
        """Return a user's newest events in order, the newest last.

        Args:
            user_id: whose.
            limit: how many at most; None is all.
            kinds: only these; None is all.

        Returns:
            The events; empty for a new user.
        """
        chosen = [kind for kind in EVENT_KINDS if kinds is None or kind in kinds]
        rows = self._store.db.execute(
            f"SELECT {_COLUMNS} FROM events WHERE user_id = ? AND kind IN ({_marks(chosen)}) "
            "ORDER BY at DESC, event_id DESC LIMIT ?",
            [user_id, *chosen, -1 if limit is None else limit],
        ).fetchall()
        return [Event(*row) for row in reversed(rows)]

    def count(self, user_id: str, kinds: Collection[str]) -> int:
        """Count a user's events of some kinds."""
        (n,) = self._store.db.execute(
            f"SELECT count(*) FROM events WHERE user_id = ? AND kind IN ({_marks(kinds)})",
            [user_id, *kinds],
        ).fetchone()
        return int(n)

    def undo(self, user_id: str) -> Event | None:
        """Remove a user's newest event that is not an impression, and return it.

        Returns:
            The event that was removed; None where there was none.
        """
        with self._store.transact() as db:
            row = db.execute(
                f"SELECT {_COLUMNS} FROM events WHERE user_id = ? AND kind <> 'impression' "
                "ORDER BY at DESC, event_id DESC LIMIT 1",
                [user_id],
            ).fetchone()
            if row is None:
                return None
            event = Event(*row)
            db.execute("DELETE FROM events WHERE event_id = ?", [event.event_id])
            db.execute("INSERT INTO event_removals (user_id) VALUES (?)", [user_id])
        return event

    def get(self, event_id: int) -> Event | None:
        """Return an event by its number, None where it was taken back."""
        row = self._store.db.execute(
            f"SELECT {_COLUMNS} FROM events WHERE event_id = ?", [event_id]
        ).fetchone()
        return None if row is None else Event(*row)

    def arrived(self, after: int, until: int) -> list[tuple[Any, ...]]:
        """Return the events with a number above one and up to another, in order, for `put`."""
        rows: list[tuple[Any, ...]] = self._store.db.execute(
            f"SELECT {_COLUMNS} FROM events WHERE event_id > ? AND event_id <= ? ORDER BY event_id",
            [after, until],
        ).fetchall()
        return rows

    def put(self, events: Iterable[tuple[Any, ...]]) -> None:
        """Log events of another log (`arrived`) under the numbers that they have there."""
        with self._store.transact() as db:
            db.conn.executemany(
                f"INSERT INTO events ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?)", events
            )

    def seen(self, user_id: str) -> set[str]:
        """Return the ids of items the user did something with: anything but impression and skip."""
        rows = self._store.db.execute(
            f"SELECT DISTINCT item_id FROM events WHERE user_id = ? "
            f"AND kind NOT IN ({_marks(_NOT_SEEN)})",
            [user_id, *_NOT_SEEN],
        )
        return {row[0] for row in rows}

    def shown(self, user_id: str, newest: int) -> list[str]:
        """Return the items of the newest impressions of a user, with repetition."""
        rows = self._store.db.execute(
            "SELECT item_id FROM events WHERE user_id = ? AND kind = 'impression' "
            "ORDER BY at DESC, event_id DESC LIMIT ?",
            [user_id, newest],
        )
        return [row[0] for row in rows.fetchall()]

    def disliked(self, user_id: str) -> set[str]:
        """Return the ids of items that a user ever disliked."""
        rows = self._store.db.execute(
            "SELECT item_id FROM events WHERE user_id = ? AND kind = 'dislike'", [user_id]
        )
        return {row[0] for row in rows.fetchall()}

    def n_against(self, user_id: str, middle: float, at_most: int) -> int:
        """Count a user's dislikes, skips and ratings below a middle one, up to a number."""
        rows = self._store.db.execute(
            "SELECT 1 FROM events WHERE user_id = ? "
            "AND (kind IN ('dislike', 'skip') OR (kind = 'rating' AND value < ?)) LIMIT ?",
            [user_id, middle, at_most],
        ).fetchall()
        return len(rows)

    def highest_rating(self, user_id: str) -> float:
        """Return a user's highest rating, 0 without any."""
        row = self._store.db.execute(
            "SELECT max(value) FROM events WHERE user_id = ? AND kind = 'rating'", [user_id]
        ).fetchone()
        return float(row[0] or 0.0)

    # For what is computed from the whole log, and follows it

    def state(self) -> tuple[int, int]:
        """Return the largest `event_id` and the largest removal ever given; 0 where none was.

        Whoever keeps something computed from the log reads this first, then `all_ordered`, and
        later brings it up to date by `since` and `removed_since`. What came between the first two
        is met twice; a removal may be of an event that was never met.
        """
        given = dict(
            self._store.db.execute(
                "SELECT name, seq FROM sqlite_sequence WHERE name IN ('events', 'event_removals')"
            ).fetchall()
        )
        return given.get("events", 0), given.get("event_removals", 0)

    def all_ordered(
        self, chunk: int = 20_000, kinds: Collection[str] | None = None
    ) -> Iterator[list[Row]]:
        """Walk the whole log in order, as it is when the walk begins.

        Args:
            chunk: how many events a list holds; the last may hold fewer.
            kinds: only these; None is all.
        """
        where = "" if kinds is None else f"WHERE kind IN ({_marks(kinds)})"
        cursor = self._store.db.execute(
            f"SELECT {_ROW} FROM events {where} ORDER BY at, event_id", [*(kinds or ())]
        )
        while rows := cursor.fetchmany(chunk):
            yield rows

    def since(self, event_id: int) -> list[Row]:
        """Return the events with a larger number, in the order in which they arrived."""
        rows: list[Row] = self._store.db.execute(
            f"SELECT {_ROW} FROM events WHERE event_id > ? ORDER BY event_id", [event_id]
        ).fetchall()
        return rows

    def removed_since(self, removal_id: int) -> list[str]:
        """Return whose events later removals took back, the earliest first; a user may repeat."""
        rows = self._store.db.execute(
            "SELECT user_id FROM event_removals WHERE removal_id > ? ORDER BY removal_id",
            [removal_id],
        )
        return [row[0] for row in rows]

    def walk(self, user_id: str | None = None) -> Iterator[Event]:
        """Walk all events, or one user's, in order and without holding them in memory."""
        whose = "" if user_id is None else "WHERE user_id = ?"
        rows = self._store.db.execute(
            f"SELECT {_COLUMNS} FROM events {whose} ORDER BY at, event_id",
            [] if user_id is None else [user_id],
        )
        return (Event(*row) for row in rows)


def _marks(values: Collection[str]) -> str:
    return ", ".join("?" * len(values))
