"""The lists that users saw, with the evidence that made them.

`Slate.shown` writes them, next to one impression a place in the event log. A click is learned from
the list that it came from (`lessons.py`), and lists of which a part was left to chance let other
weights be judged by what was clicked (`logged.py`). Items are kept by their ids and signals by
their names, so that both may change.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from pyrec.mixer import FEATURES, Choice, depth_features
from pyrec.store import Store

F32 = npt.NDArray[np.float32]

PLACE = "place"
"""The signal of where an item stood, whose weight says how much less is looked at further down; it
is there where a click is explained, and not where items are ranked."""
PLACE_PRIOR = (0.0, 1.0, 0.0, 0.0)
"""A place is looked at in inverse proportion to its number, before anything is known (Joachims,
Swaminathan and Schnabel, Unbiased Learning-to-Rank with Biased Feedback, 2017)."""
N_NEWEST = 5
"""In how many of a user's newest lists a chosen item is looked for."""
N_KEPT = 20_000
"""How many lists a store keeps, the newest: some two kilobytes each."""

_COLUMNS = (
    "slate_id, user_id, at, version, names, context, words, items, n_shown, scores, shares, "
    "propensities"
)


@dataclass(frozen=True)
class Shown:
    """A list that was shown, and what could have been.

    Attributes:
        names: the signals.
        context: the depth of the user's history then, 0 to 1.
        words: whether something was asked in words.
        items: ids, in the order of places; behind the first n_shown what could have been shown.
        n_shown: how many were.
        scores: (n,) float32, log P of each item.
        shares: (n, n_signals) float32, what each signal said, in proportion to its pool, 0 to 1.
        propensities: how likely each item was to stand at its place; None where nothing was left to
            chance.
        version: the last event that had moved the theta that made it, 0 for none since a training.
    """

    names: tuple[str, ...]
    context: float
    words: bool
    items: tuple[str, ...]
    n_shown: int
    scores: F32
    shares: F32
    propensities: tuple[float, ...] | None = None
    version: int = 0
    user_id: str = ""
    at: float = 0.0
    slate_id: int | None = field(default=None, compare=False)

    def x(self, weighs: F32) -> F32:
        """Return the features of all items, (n, n_signals * 4) float32, each signal's weighed."""
        phi = depth_features(self.shares, self.context)
        return phi * np.repeat(weighs, len(FEATURES))

    def choice(self, item_id: str, left: Sequence[int], weighs: F32) -> Choice:
        """Return what it says that an item was chosen from the list.

        Args:
            item_id: the item.
            left: the places that it was chosen from.
            weighs: (n_signals,) float32, how much of each signal's weights counts.
        """
        place = np.zeros((len(left), len(FEATURES)), np.float32)
        place[:, FEATURES.index("log")] = -np.log1p(left)
        x = np.concatenate([self.x(weighs)[list(left)], place], axis=1)
        chosen = [self.items[n] for n in left].index(item_id)
        return Choice((*self.names, PLACE), x, chosen, own=True)


class ShownLog:
    """The lists of a store."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def add(self, shown: Shown) -> int:
        """Keep a list, and drop the oldest beyond `N_KEPT`; return its number."""
        with self._store.transact() as db:
            cursor = db.execute(
                f"INSERT INTO slates ({_COLUMNS}) VALUES (NULL, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                [
                    shown.user_id,
                    shown.at,
                    shown.version,
                    json.dumps(shown.names),
                    shown.context,
                    int(shown.words),
                    json.dumps(shown.items, ensure_ascii=False),
                    shown.n_shown,
                    shown.scores.astype(np.float32).tobytes(),
                    shown.shares.astype(np.float32).tobytes(),
                    None if shown.propensities is None else json.dumps(shown.propensities),
                ],
            )
            number = int(cursor.lastrowid or 0)
            db.execute("DELETE FROM slates WHERE slate_id <= ?", [number - N_KEPT])
        return number

    def newest_with(self, user_id: str, item_id: str) -> Shown | None:
        """Return the newest list of a user that showed an item, None where none of late did."""
        rows = self._store.db.execute(
            f"SELECT {_COLUMNS} FROM slates WHERE user_id = ? ORDER BY slate_id DESC LIMIT ?",
            [user_id, N_NEWEST],
        )
        lists = (_shown(row) for row in rows.fetchall())
        return next((s for s in lists if item_id in s.items[: s.n_shown]), None)

    def get(self, slate_id: int) -> Shown | None:
        """Return a list by its number, None where it is no longer kept."""
        row = self._store.db.execute(
            f"SELECT {_COLUMNS} FROM slates WHERE slate_id = ?", [slate_id]
        ).fetchone()
        return None if row is None else _shown(row)

    def walk(self, user_id: str | None = None) -> Iterator[Shown]:
        """Walk all lists, or one user's, the oldest first."""
        whose = "" if user_id is None else "WHERE user_id = ?"
        rows = self._store.db.execute(
            f"SELECT {_COLUMNS} FROM slates {whose} ORDER BY slate_id",
            [] if user_id is None else [user_id],
        )
        return (_shown(row) for row in rows)


def shares_in_pool(values: F32) -> F32:
    """Return values in proportion to the largest of their pool or to 1: 0 to 1.

    Args:
        values: (n, n_signals) float32, NaN where unknown.
    """
    known = np.nan_to_num(np.maximum(values, 0.0), nan=0.0)
    most = np.maximum(known.max(axis=0, initial=0.0), 1.0)
    shares: F32 = (known / most).astype(np.float32)
    return shares


def _shown(row: tuple[Any, ...]) -> Shown:
    slate_id, user_id, at, version, names, context, words, items, n_shown = row[:9]
    scores, shares, propensities = row[9:]
    signals = tuple(json.loads(names))
    found = Shown(
        signals,
        context,
        bool(words),
        tuple(json.loads(items)),
        n_shown,
        np.frombuffer(scores, np.float32),
        np.frombuffer(shares, np.float32).reshape(-1, max(len(signals), 1)),
        None if propensities is None else tuple(json.loads(propensities)),
        version,
        user_id,
        at,
    )
    return replace(found, slate_id=slate_id)
