"""The log of what users did; it is appended to, and its newest entry can be undone.

The recommender writes it together with the step of θ that an event causes; the signals read a
user's history from it. An event is on the disk when `append` returns. Item ids are not checked
against the catalog: a log may outlive its items, and the two never share a foreign key.
"""

from __future__ import annotations

import math
import time
from collections.abc import Collection, Iterable
from dataclasses import replace
from typing import Any

from pyrec.errors import InvalidEventError
from pyrec.store import Store, is_text
from pyrec.types import EVENT_KINDS, Event

# Kinds that say nothing about what a user knows: shown, or passed over.
_NOT_SEEN = ("impression", "skip")
_COLUMNS = "user_id, item_id, kind, value, at, session, event_id"


class EventLog:
    """The event log of a store."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def append(self, event: Event) -> Event:
        """Log an event; it is durable when this returns.

        Args:
            event: `at` 0 means now.

        Returns:
            The event as stored, with its time and `event_id`.

        Raises:
            InvalidEventError: its kind is unknown, or an id, value or time makes no sense.
        """
        return self.append_many([event])[0]

    def append_many(self, events: Iterable[Event]) -> list[Event]:
        """Log events in their order, all or none; see `append`."""
        checked = [_checked(event) for event in events]
        with self._store.transact() as db:
            stored = []
            for event in checked:
                cursor = db.execute(
                    "INSERT INTO events (user_id, item_id, kind, value, at, session) "
                    "VALUES (?, ?, ?, ?, ?, ?)",
                    [
                        event.user_id,
                        event.item_id,
                        event.kind,
                        event.value,
                        event.at,
                        event.session,
                    ],
                )
                stored.append(replace(event, event_id=cursor.lastrowid))
        return stored

    def history(
        self, user_id: str, limit: int | None = None, kinds: Collection[str] | None = None
    ) -> list[Event]:
        """Return a user's newest events in the order they were logged, the newest last.

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
            "ORDER BY event_id DESC LIMIT ?",
            [user_id, *chosen, -1 if limit is None else limit],
        ).fetchall()
        return [Event(*row) for row in reversed(rows)]

    def undo(self, user_id: str) -> Event | None:
        """Remove a user's newest event that is not an impression, and return it.

        Returns:
            The event that was removed; None where there was none.
        """
        with self._store.transact() as db:
            row = db.execute(
                f"SELECT {_COLUMNS} FROM events WHERE user_id = ? AND kind <> 'impression' "
                "ORDER BY event_id DESC LIMIT 1",
                [user_id],
            ).fetchone()
            if row is None:
                return None
            event = Event(*row)
            db.execute("DELETE FROM events WHERE event_id = ?", [event.event_id])
        return event

    def seen(self, user_id: str) -> set[str]:
        """Return the ids of items the user did something with: anything but impression and skip."""
        rows = self._store.db.execute(
            f"SELECT DISTINCT item_id FROM events WHERE user_id = ? "
            f"AND kind NOT IN ({_marks(_NOT_SEEN)})",
            [user_id, *_NOT_SEEN],
        )
        return {row[0] for row in rows}


def _checked(event: Event) -> Event:
    if event.kind not in EVENT_KINDS:
        raise InvalidEventError(
            f"event kind {event.kind!r} is unknown; use one of {', '.join(EVENT_KINDS)}"
        )
    for name, text in (("user", event.user_id), ("item id", event.item_id)):
        _check_text(name, text)
        if not text.strip():
            raise InvalidEventError(f"the {name} of a {event.kind} event is empty; give one")
    if event.session is not None:
        _check_text("session", event.session)
    if event.value is None and event.kind == "rating":
        raise InvalidEventError("a rating event has no value; give the rating")
    value = None if event.value is None else _number("value", event.value)
    at = _number("time", event.at)
    if at < 0:
        raise InvalidEventError(f"event time {at!r} is before 1970; give UTC seconds, or 0 for now")
    return replace(event, value=value, at=at or time.time(), event_id=None)


def _check_text(name: str, text: Any) -> None:
    if not isinstance(text, str):
        raise InvalidEventError(f"the {name} {text!r} of an event is not a string")
    if not is_text(text):
        raise InvalidEventError(f"the {name} {text!r} of an event is not valid Unicode")


def _number(name: str, value: Any) -> float:
    try:
        number = math.nan if isinstance(value, str) else float(value)
    except (TypeError, ValueError, OverflowError):
        number = math.nan
    if not math.isfinite(number):
        raise InvalidEventError(f"event {name} {value!r} is not a finite number")
    return number


def _marks(values: Collection[str]) -> str:
    return ", ".join("?" * len(values))
