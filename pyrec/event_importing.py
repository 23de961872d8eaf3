"""How a log from elsewhere gets into the store: staged first, then merged in one transaction.

What was imported before is recognized: the n-th event of a file among those that are equal in all
columns is the n-th of the store. Nothing permanent is kept for that; the rows that could be equal
are sorted together with the new ones. Memory stays bounded: one chunk of events, the page caches,
and SQLite's temporary files, which it removes however the process ends. `events.py` calls this.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import islice

from sqlite_utils import Database

from pyrec.event_rules import checked
from pyrec.schema import EVENT_INDEXES
from pyrec.staging import staging
from pyrec.store import Store
from pyrec.types import Event

_CHUNK = 20_000
_DAY_S = 86400.0
_CONTENT = "user_id, item_id, kind, value, at, session"
_TABLES = (
    "CREATE TABLE staging.events (place INTEGER PRIMARY KEY, user_id TEXT, item_id TEXT, "
    "kind TEXT, value REAL, at REAL, session TEXT)",
    "CREATE TABLE staging.fresh (place INTEGER PRIMARY KEY)",
)
# Few events look up what they may be equal to, each by itself; for many it is faster to sort all
# of the log between their earliest and their latest time.
_FEW = 20_000
_EQUAL_TIME = "(user_id, at) IN (SELECT user_id, at FROM staging.events)"
_WITHIN = "at BETWEEN (SELECT min(at) FROM staging.events) AND (SELECT max(at) FROM staging.events)"
# More events than this, and more than this share of the log, make it worth to build the indexes
# anew: entries that come in another order than the index's touch a page each.
_MANY = 100_000
_SHARE = 0.05


@dataclass(frozen=True)
class EventImportReport:
    """What an import did to the log.

    Attributes:
        added: events that were not there.
        already: events that were there just so, from an earlier import.
        n_unknown_events: how many of both are about items that the catalog does not hold.
        n_unknown_items: how many such items there are.
    """

    added: int = 0
    already: int = 0
    n_unknown_events: int = 0
    n_unknown_items: int = 0


def import_events(store: Store, events: Iterable[Event]) -> EventImportReport:
    """Add events to the log; all of them, or none.

    Args:
        store: not within one of its transactions.
        events: read once, in chunks; time 0 is unknown.

    Raises:
        InvalidEventError: an event that makes no sense; the log stays as it was.
    """
    latest = time.time() + _DAY_S
    walk = ((e.user_id, e.item_id, e.kind, e.value, e.at, e.session)
            for e in (checked(event, latest) for event in events))  # fmt: skip
    with staging(store, *_TABLES) as db:
        n_staged = 0
        while chunk := list(islice(walk, _CHUNK)):
            n_staged += len(chunk)
            with db.atomic():  # a deferred BEGIN that touches the staging file alone
                db.conn.executemany(
                    f"INSERT INTO staging.events ({_CONTENT}) VALUES (?, ?, ?, ?, ?, ?)", chunk
                )
        if not n_staged:
            return EventImportReport()
        n_events, n_items = db.execute(
            "SELECT count(*), count(DISTINCT item_id) FROM staging.events AS s "
            "WHERE NOT EXISTS (SELECT 1 FROM main.items WHERE item_id = s.item_id)"
        ).fetchone()
        with store.transact():
            added = _merge(db, n_staged)
    return EventImportReport(added, n_staged - added, n_events, n_items)


def _merge(db: Database, n_staged: int) -> int:
    """Move what is new into the log and return how much that is."""
    some = _EQUAL_TIME if n_staged <= _FEW else _WITHIN
    source = "staging.events"
    if db.execute(f"SELECT EXISTS (SELECT 1 FROM main.events WHERE {some})").fetchone()[0]:
        _find_fresh(db, some)
        source += " JOIN staging.fresh USING (place)"
        (n_fresh,) = db.execute("SELECT count(*) FROM staging.fresh").fetchone()
    else:
        n_fresh = n_staged
    # The newest number, not the count: that would read the whole log.
    (n_before,) = db.execute("SELECT ifnull(max(event_id), 0) FROM main.events").fetchone()
    anew = n_fresh > _MANY and n_fresh > _SHARE * n_before
    if anew:
        for name in EVENT_INDEXES:
            db.execute(f"DROP INDEX main.{name}")
    # In the order of time, so that reading the log in that order goes through the file once.
    db.execute(
        f"INSERT INTO main.events ({_CONTENT}) SELECT {_CONTENT} FROM {source} ORDER BY at, place"
    )
    if anew:
        for create in EVENT_INDEXES.values():
            db.execute(create)
    return int(n_fresh)


def _find_fresh(db: Database, some: str) -> None:
    """Fill `fresh` with the places of staged events that the log does not hold yet."""
    # Those of the log come first among equal ones, because their place is NULL: where it holds m,
    # the staged ones are numbered from m + 1 on, and the first m of them are there already.
    db.execute(
        "INSERT INTO staging.fresh SELECT place FROM ("
        " SELECT place, row_number() OVER equal AS number, sum(place IS NULL) OVER equal AS held"
        f" FROM (SELECT NULL AS place, {_CONTENT} FROM main.events WHERE {some}"
        f"  UNION ALL SELECT place, {_CONTENT} FROM staging.events)"
        f" WINDOW equal AS (PARTITION BY {_CONTENT} ORDER BY place ROWS UNBOUNDED PRECEDING)"
        ") WHERE place IS NOT NULL AND number > 2 * held ORDER BY place"
    )
