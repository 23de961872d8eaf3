"""What single events taught: theta as it learns, the users' own, and the way back.

`feedback.py` takes a step of theta in the transaction that stores its event. What theta was before
each of the newest steps is kept: an event that is taken back takes theta back with it, and the
steps after it are taken again (`Steps.rewind`).
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from sqlite_utils import Database

from pyrec.mixer import FEATURES, Choice, Learning, StepConfig, learn
from pyrec.store import Store

F64 = npt.NDArray[np.float64]
N = len(FEATURES)

N_BEFORE = 1000
"""Before how many of the newest steps theta is kept, some three kilobytes each. An event with more
after it is taken out of the log alone: what it taught has long been learned over."""

_Row = tuple[int, int, int | None, str]

Prior = Mapping[str, Sequence[float]]
"""Weights by key (`mixer.key_of`) of what nothing was learned for yet."""


@dataclass(frozen=True)
class Step:
    """One event that moved theta.

    Attributes:
        event_id: the event.
        seen: the last event of the log that its evidence knew.
        slate_id: the list it was chosen from, None for none.
    """

    event_id: int
    seen: int
    slate_id: int | None


class Steps:
    """The steps of a store."""

    def __init__(self, store: Store, config: StepConfig | None = None) -> None:
        self._store = store
        self.config = config or StepConfig()

    @property
    def last(self) -> int:
        """The last event that moved theta, 0 where none has since the training."""
        (last,) = self._store.db.execute("SELECT ifnull(max(event_id), 0) FROM steps").fetchone()
        return int(last)

    def own(self, user_id: str) -> dict[str, list[float]]:
        """Return what a user's own weights add, by signal; empty where nothing was learned."""
        names, own = _own(self._store.db, user_id)
        return {n: row.tolist() for n, row in zip(names, own.theta.reshape(-1, N), strict=True)}

    def squares(self, names: Sequence[str]) -> F64:
        """Return how sure the shared weights are: calm and squared gradients, (n * 4,) float64."""
        none: Prior = {}
        return self.config.calm + _shared(self._store.db, names, none).g2

    def take(
        self,
        event_id: int,
        user_id: str,
        seen: int,
        slate_id: int | None,
        choices: Sequence[Choice],
        prior: Prior,
    ) -> None:
        """Learn from an event, in the transaction that stores it.

        Every next event of a user counts less for the shared weights: 1 / sqrt(1 + their number).

        Args:
            event_id: the event.
            user_id: whose.
            seen: the last event that the evidence knew.
            slate_id: the list that it was chosen from.
            choices: what it says, each of signals of its own.
            prior: the weights of signals that have none here yet.
        """
        with self._store.transact() as db:
            before = db.execute(
                "SELECT nth FROM steps WHERE user_id = ? AND event_id < ? "
                "ORDER BY event_id DESC LIMIT 1",
                [user_id, event_id],
            ).fetchone()
            nth = 0 if before is None else before[0] + 1
            names = [name for choice in choices for name in choice.names]
            own = _own_for(db, user_id, names)
            _keep_before(db, event_id, names, own)
            shared = _shared(db, names, prior)
            at = 0
            for choice in choices:
                part = slice(at * N, (at + len(choice.names)) * N)
                ours = Learning(shared.theta[part], shared.g2[part])
                mine = Learning(own.theta[part], own.g2[part])
                learn(choice, ours, mine, (1.0 + nth) ** -0.5, self.config)
                at += len(choice.names)
            _write(db, names, shared)
            _write_own(db, user_id, names, own)
            db.execute(
                "INSERT INTO steps VALUES (?, ?, ?, ?, ?)",
                [event_id, user_id, nth, seen, slate_id],
            )

    def rewind(self, event_id: int) -> list[Step]:
        """Set theta to what it was before an event, and forget the steps since.

        Call it in the transaction that removes the event. Theta stays as it is where more than
        `N_BEFORE` steps, or a training, came since.

        Returns:
            The steps to take again, in order: those of later events.
        """
        db = self._store.db
        rows = self._rows("WHERE event_id >= ?", [event_id])
        held = {row[0] for row in db.execute("SELECT event_id FROM befores").fetchall()}
        if not all(row[0] in held for row in rows):
            db.execute("DELETE FROM steps WHERE event_id = ?", [event_id])
            return []
        for number, _, _, user_id in reversed(rows):
            _restore(db, number, user_id)
        db.execute("DELETE FROM steps WHERE event_id >= ?", [event_id])
        db.execute("DELETE FROM befores WHERE event_id >= ?", [event_id])
        return [Step(*row[:3]) for row in rows if row[0] != event_id]

    def unlearn(self, forgotten: str) -> list[Step]:
        """Set theta to what comes with pyrec, for all.

        Call it in the transaction that forgets a user.

        Returns:
            The steps of the others since the last training that found weights, to be taken again.
        """
        db = self._store.db
        rows = self._rows("WHERE user_id <> ?", [forgotten])
        for table in ("steps", "befores", "own_weights", "weights"):
            db.execute(f"DELETE FROM {table}")
        return [Step(*row[:3]) for row in rows]

    @staticmethod
    def begin_anew(db: Database, *, theta: bool) -> None:
        """Mark that a training was kept: what evidence is made of has changed.

        Args:
            db: the store, in a transaction.
            theta: whether the training found new weights, to which steps add from here on.
        """
        for table in ("befores", *(("steps", "own_weights") if theta else ())):
            db.execute(f"DELETE FROM {table}")
        if theta:  # those that no training finds, too: the steps that led to them are gone
            db.execute("DELETE FROM weights WHERE name NOT LIKE '%/%'")

    def _rows(self, where: str, values: Sequence[int | str]) -> list[_Row]:
        rows: list[_Row] = self._store.db.execute(
            f"SELECT event_id, seen, slate_id, user_id FROM steps {where} ORDER BY event_id", values
        ).fetchall()
        return rows


def _keep_before(db: Database, event_id: int, names: Sequence[str], own: Learning) -> None:
    """Keep what theta is, NaN where there is nothing, and drop the oldest beyond `N_BEFORE`."""
    shared = _shared(db, names, dict.fromkeys(names, (np.nan,) * N))
    data = np.concatenate([shared.theta, shared.g2, own.theta, own.g2])
    db.execute(
        "INSERT INTO befores VALUES (?, ?, ?)", [event_id, json.dumps(names), data.tobytes()]
    )
    db.execute(
        "DELETE FROM befores WHERE event_id <= "
        "(SELECT event_id FROM steps ORDER BY event_id DESC LIMIT 1 OFFSET ?)",
        [N_BEFORE - 1],
    )


def _restore(db: Database, event_id: int, user_id: str) -> None:
    names, data = db.execute(
        "SELECT names, data FROM befores WHERE event_id = ?", [event_id]
    ).fetchone()
    names = json.loads(names)
    theta, g2, own, own_g2 = np.frombuffer(data, np.float64).copy().reshape(4, -1)
    _write(db, names, Learning(theta, g2))
    _write_own(db, user_id, names, Learning(own, own_g2))


def _shared(db: Database, names: Sequence[str], prior: Prior) -> Learning:
    """Read the shared weights of signals, by their keys."""
    rows = db.execute("SELECT name, value, g2 FROM weights WHERE user_id = ''").fetchall()
    kept = {name: (value, g2) for name, value, g2 in rows}
    found = Learning.zeros(len(names))
    for n, name in enumerate(names):
        given = (*prior.get(name, ()), *(0.0,) * N)[:N]
        for f, feature in enumerate(FEATURES):
            value, g2 = kept.get(f"{name}:{feature}", (given[f], 0.0))
            found.theta[n * N + f], found.g2[n * N + f] = value, g2
    return found


def _write(db: Database, names: Sequence[str], shared: Learning) -> None:
    """Write shared weights; a NaN takes the row away, so that what comes with pyrec holds again."""
    keys = [f"{name}:{feature}" for name in names for feature in FEATURES]
    rows = list(zip(keys, shared.theta.tolist(), shared.g2.tolist(), strict=True))
    db.conn.executemany(
        "INSERT INTO weights (user_id, name, value, g2) VALUES ('', ?, ?, ?) "
        "ON CONFLICT (user_id, name) DO UPDATE SET value = excluded.value, g2 = excluded.g2",
        [row for row in rows if not math.isnan(row[1])],
    )
    db.conn.executemany(
        "DELETE FROM weights WHERE user_id = '' AND name = ?",
        [row[:1] for row in rows if math.isnan(row[1])],
    )


def _own(db: Database, user_id: str) -> tuple[list[str], Learning]:
    row = db.execute(
        "SELECT names, theta, g2 FROM own_weights WHERE user_id = ?", [user_id]
    ).fetchone()
    if row is None:
        return [], Learning.zeros(0)
    theta, g2 = (np.frombuffer(data, np.float32).astype(np.float64) for data in row[1:])
    return json.loads(row[0]), Learning(theta, g2)


def _own_for(db: Database, user_id: str, names: Sequence[str]) -> Learning:
    """Read a user's own weights of some signals, 0 where there are none."""
    kept, own = _own(db, user_id)
    place = {name: n for n, name in enumerate(kept)}
    found = Learning.zeros(len(names))
    for n, name in enumerate(names):
        if (at := place.get(name)) is not None:
            found.theta[n * N : (n + 1) * N] = own.theta[at * N : (at + 1) * N]
            found.g2[n * N : (n + 1) * N] = own.g2[at * N : (at + 1) * N]
    return found


def _write_own(db: Database, user_id: str, names: Sequence[str], own: Learning) -> None:
    """Write a user's own weights of some signals beside the others; none where nothing is left."""
    kept, before = _own(db, user_id)
    rows = {
        name: (before.theta[n * N : (n + 1) * N], before.g2[n * N : (n + 1) * N])
        for n, name in enumerate(kept)
    }
    for n, name in enumerate(names):
        part = slice(n * N, (n + 1) * N)
        rows[name] = own.theta[part], own.g2[part]
    rows = {name: row for name, row in rows.items() if row[1].any()}
    if not rows:
        db.execute("DELETE FROM own_weights WHERE user_id = ?", [user_id])
        return
    theta, g2 = (
        np.concatenate(part).astype(np.float32) for part in zip(*rows.values(), strict=True)
    )
    db.execute(
        "INSERT OR REPLACE INTO own_weights VALUES (?, ?, ?, ?)",
        [user_id, json.dumps(list(rows)), theta.tobytes(), g2.tobytes()],
    )
