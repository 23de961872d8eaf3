"""Who took what, in which order: the event log in arrays, as the signals of history read it.

`recommender.py` keeps one `Interactions` beside the catalog's index and brings it up to date before
each question; `replay.py` makes others from a part of the log. Derived from the log alone: an event
is an append, one that was taken back a removal, and a fresh reading gives the same state.

Items have numbers of their own here, in the order in which users first took them: a log may hold
items that the catalog does not, and keeps them when the catalog changes. `Crowd` says which row of
the catalog a number is.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import count, groupby, pairwise

import numpy as np
import numpy.typing as npt

from pyrec import _core
from pyrec.catalog import Catalog
from pyrec.events import EventLog, Row

# Of all objects together: what is kept by the numbers of one must not serve another.
_GENERATIONS = count(1)

F32 = npt.NDArray[np.float32]
I32 = npt.NDArray[np.int32]
I64 = npt.NDArray[np.int64]
U8 = npt.NDArray[np.uint8]

TAKEN = ("click", "like", "purchase", "rating")
"""Kinds that put an item into a history. A low rating does too: who rates has tried."""


@dataclass(frozen=True)
class Crowd:
    """One state of all histories, with the way to and from the rows of the catalog.

    Attributes:
        histories: of all users; others may append meanwhile.
        row_of: (n_numbers,) int32, the catalog's row of each item number, -1 where it has none.
        number_of: (n_items,) int32, the number of each row, -1 where nobody took it.
        count: (n_numbers,) float32, how many users took each item.
        lately: (n_numbers,) float32, how many times it was the last that somebody took, each step
            before that counting half.
        users: their numbers; others may add users meanwhile.
        items: their numbers; others may add items meanwhile, which this state does not know.
        generation: another one wherever numbers are given out anew.
    """

    histories: _core.Histories
    row_of: I32
    number_of: I32
    count: F32
    lately: F32
    users: Mapping[str, int] = field(default_factory=dict, repr=False)
    items: Mapping[str, int] = field(default_factory=dict, repr=False)
    generation: int = 0

    @property
    def n_items(self) -> int:
        """Count the items that were ever taken."""
        return len(self.row_of)

    def user(self, user_id: str) -> int:
        """Return a user's number, -1 for one who never took anything."""
        return self.users.get(user_id, -1)

    def numbers(self, item_ids: Iterable[str]) -> I32:
        """Return the numbers of items, -1 for those nobody took."""
        found = np.array([self.items.get(i, -1) for i in item_ids], np.int32)
        found[found >= self.n_items] = -1
        return found


def inverse(row_of: I32, n_items: int) -> I32:
    """Return the number of each of n_items rows, -1 where no number has that row."""
    number_of = np.full(n_items, -1, np.int32)
    known = np.flatnonzero((row_of >= 0) & (row_of < n_items))
    number_of[row_of[known]] = known
    return number_of


def make_crowd(
    histories: _core.Histories,
    row_of: I32,
    number_of: I32,
    users: Mapping[str, int] | None = None,
    items: Mapping[str, int] | None = None,
    generation: int = 0,
) -> Crowd:
    """Count how often each item was taken, and return all together."""
    count, lately = np.zeros((2, len(row_of)), np.float32)
    for sums, found in ((count, histories.count()), (lately, histories.lately())):
        found = found[: len(row_of)]
        sums[: len(found)] = found
    return Crowd(histories, row_of, number_of, count, lately, users or {}, items or {}, generation)


class Interactions:
    """The histories of all users, following the log."""

    def __init__(self, log: EventLog, catalog: Catalog) -> None:
        self._log = log
        self._catalog = catalog
        self._lock = threading.Lock()
        self._clear()

    def _clear(self) -> None:
        self._generation = next(_GENERATIONS)
        self._histories = _core.Histories()
        self._users: dict[str, int] = {}
        self._items: dict[str, int] = {}
        self._newest: dict[int, float] = {}  # user number: when the last entry was
        self._last_at = 0.0
        self._reached = (0, 0)
        self._crowd: tuple[tuple[int, int], int, Crowd] | None = None
        self._rows: tuple[int, I32, I32] = (-1, np.empty(0, np.int32), np.empty(0, np.int32))

    def follow(self, n_items: int, version: int) -> Crowd:
        """Return the state of the log now.

        Args:
            n_items: rows of the catalog's index in use.
            version: the version of the catalog that this is.
        """
        with self._lock:
            state = self._log.state()
            if state != self._reached:
                self._catch_up(state)
            if self._crowd is None or self._crowd[:2] != (self._reached, version):
                row_of, number_of = self._places(n_items, version)
                crowd = make_crowd(
                    self._histories,
                    row_of,
                    number_of,
                    self._users,
                    self._items,
                    self._generation,
                )
                self._crowd = (self._reached, version, crowd)
            return self._crowd[2]

    def _places(self, n_items: int, version: int) -> tuple[I32, I32]:
        """Return `row_of` and `number_of`; only what is new is looked up in the catalog."""
        known, row_of, number_of = self._rows
        fresh = known != version
        if fresh or len(row_of) < len(self._items):
            start = 0 if fresh else len(row_of)
            added = self._catalog.idxs(list(self._items)[start:]).astype(np.int32)
            row_of = np.concatenate([row_of[:start], added])
            number_of = inverse(row_of, n_items)
            self._rows = (version, row_of, number_of)
        return row_of, number_of

    def _catch_up(self, state: tuple[int, int]) -> None:
        # What came while this reads is left for the next time, or it would be met twice.
        removed = self._log.removed_since(self._reached[1])
        # One of nobody says that a user was forgotten, whose name nothing keeps.
        first = self._reached == (0, 0) or "" in removed
        rows = [] if first else _taken(self._log.since(self._reached[0]), state[0])
        times = [self._last_at, *(row[4] for row in rows)]
        # What came late belongs before what is held already; only a new reading puts it there.
        if first or any(later < earlier for earlier, later in pairwise(times)):
            self._clear()
            for chunk in self._log.all_ordered(kinds=TAKEN):
                self._append(_taken(chunk, state[0]))
        else:
            # First what was taken back: it stood at the end, and the same may have come again.
            for user_id in sorted(set(removed)):
                self._sync(user_id)
            self._append(rows)
        self._reached = state

    def _append(self, taken: Sequence[Row]) -> None:
        if not taken:
            return
        users, items, newest = self._users, self._items, self._newest
        n = len(taken)
        user, item = np.empty(n, np.int32), np.empty(n, np.int32)
        same = np.zeros(n, np.uint8)
        for place, (user_id, item_id, _, _, at, _) in enumerate(taken):
            user[place] = number = users.setdefault(user_id, len(users))
            item[place] = items.setdefault(item_id, len(items))
            # A time of 0 is unknown: such events have the order in which they arrived.
            same[place] = at > 0.0 and newest.get(number) == at
            newest[number] = at
        self._last_at = taken[-1][4]
        self._histories.extend(user, item, same)

    def _sync(self, user_id: str) -> None:
        """Take out of a user's history, as it was reached, what the log no longer holds."""
        number = self._users.get(user_id)
        if number is None:
            return
        events = [
            event
            for event in self._log.history(user_id, kinds=TAKEN)
            if (event.event_id or 0) <= self._reached[0]
        ]
        # What was taken again right after itself is one entry.
        left = [item for item, _ in groupby(self._items.get(e.item_id, -1) for e in events)]
        held = self._histories.history(number)[0].tolist()
        at = 0
        while at < len(held):
            if at < len(left) and left[at] == held[at]:
                at += 1
            else:
                self._histories.remove(number, at)  # its neighbors may become one
                held = self._histories.history(number)[0].tolist()
        self._newest[number] = events[-1].at if events else -1.0


def _taken(rows: Iterable[Row], last: int) -> list[Row]:
    """Return the events that put an item into a history, up to a number."""
    return [row for row in rows if row[2] in TAKEN and row[5] <= last]
