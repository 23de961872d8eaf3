"""What single events taught: theta as it learns, the users' own, and the way back.

`feedback.py` takes a step of theta in the transaction that stores its event. What theta was before
the newest steps, and before the first since a training, is kept: an event that is taken back takes
theta back with it, and the steps after it are taken again (`Steps.rewind`).
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from sqlite_utils import Database

from pyrec.mixer import FEATURES, Choice, Learning, StepConfig, learn
from pyrec.store import Store

F64 = npt.NDArray[np.float64]
N = len(FEATURES)

N_BEFORE = 256
"""Before how many of the newest steps theta is kept, some three kilobytes each."""

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
                "SELECT nth FROM steps WHERE user_id = ? ORDER BY event_id DESC LIMIT 1", [user_id]
            ).fetchone()
            nth = 0 if before is None else before[0] + 1
            names = [name for choice in choices for name in choice.names]
            shared, own = _shared(db, names, prior), _own_for(db, user_id, names)
            self._keep_before(db, event_id, names, shared, own)
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

    def rewind(self, first: int, forgotten: str | None = None) -> list[Step]:
        """Set theta to what it was before an event, and forget the steps since.

        Call it in the transaction that removes the event.

        Args:
            first: the event.
            forgotten: a user whose steps are not taken again.

        Returns:
            The steps to take again, in order: those of later events; where the way back is longer
            than `N_BEFORE`, all since the training.
        """
        db = self._store.db
        ask = "SELECT event_id, seen, slate_id, user_id FROM steps"
        rows = db.execute(f"{ask} WHERE event_id >= ? ORDER BY event_id", [first]).fetchall()
        if not rows:
            return []
        held = {row[0] for row in db.execute("SELECT event_id FROM befores").fetchall()}
        if all(row[0] in held for row in rows):
            for event_id, _, _, user_id in reversed(rows):
                self._restore(db, event_id, user_id)
        else:
            rows = db.execute(f"{ask} ORDER BY event_id").fetchall()
            self._restore_first(db, rows[0][0])
        db.execute("DELETE FROM steps WHERE event_id >= ?", [rows[0][0]])
        db.execute("DELETE FROM befores WHERE event_id >= ?", [rows[0][0]])
        if forgotten is not None:
            db.execute("DELETE FROM own_weights WHERE user_id = ?", [forgotten])
        return [Step(*row[:3]) for row in rows if row[0] != first and row[3] != forgotten]

    @staticmethod
    def clear(db: Database) -> None:
        """Begin anew: from here on theta is what a training found."""
        for table in ("steps", "befores", "own_weights"):
            db.execute(f"DELETE FROM {table}")

    def _keep_before(
        self, db: Database, event_id: int, names: Sequence[str], shared: Learning, own: Learning
    ) -> None:
        first = db.execute("SELECT min(event_id) FROM befores").fetchone()[0]
        if first is None:
            # The way back to it is the way back to all that theta was.
            rows = db.execute("SELECT DISTINCT name FROM weights WHERE user_id = ''").fetchall()
            others = sorted({row[0].rpartition(":")[0] for row in rows} - set(names))
            rest = _shared(db, others, {})
            names = [*names, *others]
            shared = Learning(
                np.concatenate([shared.theta, rest.theta]), np.concatenate([shared.g2, rest.g2])
            )
            own = Learning.zeros(len(names))
        elif event_id % 64 == 0:
            row = db.execute(
                "SELECT event_id FROM befores ORDER BY event_id DESC LIMIT 1 OFFSET ?", [N_BEFORE]
            ).fetchone()
            if row is not None:
                db.execute(
                    "DELETE FROM befores WHERE event_id <= ? AND event_id > ?", [row[0], first]
                )
        data = np.concatenate([shared.theta, shared.g2, own.theta, own.g2])
        db.execute(
            "INSERT INTO befores VALUES (?, ?, ?)", [event_id, json.dumps(names), data.tobytes()]
        )

    @staticmethod
    def _restore(db: Database, event_id: int, user_id: str) -> None:
        names, shared, own = _before(db, event_id)
        _write(db, names, shared)
        _write_own(db, user_id, names, own)

    @staticmethod
    def _restore_first(db: Database, event_id: int) -> None:
        names, shared, _ = _before(db, event_id)
        db.execute("DELETE FROM weights WHERE user_id = ''")
        db.execute("DELETE FROM own_weights")
        _write(db, names, shared)


def _before(db: Database, event_id: int) -> tuple[list[str], Learning, Learning]:
    names, data = db.execute(
        "SELECT names, data FROM befores WHERE event_id = ?", [event_id]
    ).fetchone()
    theta, g2, own, own_g2 = np.frombuffer(data, np.float64).copy().reshape(4, -1)
    return json.loads(names), Learning(theta, g2), Learning(own, own_g2)


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
    keys = [f"{name}:{feature}" for name in names for feature in FEATURES]
    rows = zip(keys, shared.theta.tolist(), shared.g2.tolist(), strict=True)
    db.conn.executemany(
        "INSERT INTO weights (user_id, name, value, g2) VALUES ('', ?, ?, ?) "
        "ON CONFLICT (user_id, name) DO UPDATE SET value = excluded.value, g2 = excluded.g2",
        rows,
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
