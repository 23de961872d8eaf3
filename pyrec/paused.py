"""Private sessions: users of whom nothing is kept for now.

While a user is paused, what they do is answered and forgotten. `Recommender.pause` and `resume`
write here, in the store, so that it holds for other processes and after a restart.
"""

from __future__ import annotations

from pyrec.store import Store


class Paused:
    """The users of a store that are paused."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def __contains__(self, user_id: object) -> bool:
        """Tell whether a user is paused."""
        row = self._store.db.execute("SELECT 1 FROM paused WHERE user_id = ?", [user_id]).fetchone()
        return row is not None

    def add(self, user_id: str) -> None:
        """Keep nothing of a user from now on."""
        with self._store.transact() as db:
            db.execute("INSERT OR IGNORE INTO paused VALUES (?)", [user_id])

    def remove(self, user_id: str) -> bool:
        """Keep what a user does again; tell whether they were paused."""
        with self._store.transact() as db:
            return db.execute("DELETE FROM paused WHERE user_id = ?", [user_id]).rowcount > 0
