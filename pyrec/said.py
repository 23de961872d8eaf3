"""What users said of attribute values themselves: "I don't like horror". Kept until taken back."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass

from pyrec.store import Store


@dataclass(frozen=True)
class Said:
    """One correction: whether a user likes what has a value of a column."""

    column: str
    value: str
    likes: bool


class SaidLog:
    """The corrections of a store."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def of(self, user_id: str) -> list[Said]:
        """Return what a user said, oldest first."""
        rows = self._store.db.execute(
            "SELECT attribute, value, likes FROM said WHERE user_id = ? ORDER BY at, rowid",
            [user_id],
        )
        return [Said(column, value, bool(likes)) for column, value, likes in rows.fetchall()]

    def say(self, user_id: str, said: Iterable[Said]) -> None:
        """Keep what a user says; durable when this returns. The last word on a value counts."""
        with self._store.transact() as db:
            for each in said:
                db.execute(
                    "INSERT OR REPLACE INTO said (user_id, attribute, value, likes, at) "
                    "VALUES (?, ?, ?, ?, ?)",
                    [user_id, each.column, each.value, int(each.likes), time.time()],
                )

    def take_back(self, user_id: str, column: str, value: str) -> bool:
        """Forget what a user said of a value; tell whether there was anything."""
        with self._store.transact() as db:
            cursor = db.execute(
                "DELETE FROM said WHERE user_id = ? AND attribute = ? AND value = ?",
                [user_id, column, value],
            )
            return bool(cursor.rowcount)
