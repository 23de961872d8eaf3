"""Forgetting a user: rows, what was learned from them, and the bytes on the disk.

After it, lists are those of a store that never saw the user. What cannot be learned anew at once,
the behavior model, goes away until it is trained again. `Recommender.forget` calls it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from pyrec.errors import StoreBusyError
from pyrec.feedback import Feedback
from pyrec.learned import Learned
from pyrec.schema import APPLICATION_ID
from pyrec.steps import Steps
from pyrec.store import MEMORY, Store
from pyrec.training_files import TrainingFiles

_TABLES = ("events", "said", "own_weights", "slates", "event_removals", "paused")


@dataclass(frozen=True)
class Forgotten:
    """What forgetting did.

    Attributes:
        n_events: how many events of the user there were.
        trained: whether what is learned from histories was trained anew, from what is left.
        behavior: whether a behavior model went away, as it knew the user.
        backups: other databases of pyrec's in the same folder, which may still hold the user.
    """

    n_events: int
    trained: bool
    behavior: bool
    backups: tuple[Path, ...]


def forget(
    store: Store,
    user: str,
    learned: Learned,
    steps: Steps,
    feedback: Feedback,
    train: Callable[[], object],
) -> Forgotten:
    """Forget a user; the events go in one transaction, with all weights that they taught.

    Args:
        store: whose.
        user: any id; nothing happens where it is not known.
        learned: what training left.
        steps: what single events taught.
        feedback: takes the steps of others again.
        train: trains anew.

    Raises:
        StoreBusyError: another process trains the behavior model, or reads for too long; what was
            forgotten is, but its bytes may still lie in the file until this is called again.
    """
    path = None if store.path == MEMORY else Path(store.path)
    _remove_training(path)
    trained = learned.version > 0
    behavior = False
    store.db.execute("PRAGMA secure_delete=ON")
    with store.transact() as db:
        (first, n_events) = db.execute(
            "SELECT min(event_id), count(*) FROM events WHERE user_id = ?", [user]
        ).fetchone()
        for table in _TABLES:
            db.execute(f"DELETE FROM {table} WHERE user_id = ?", [user])
        if n_events:
            # Whoever keeps something computed from the log reads it again (`interactions.py`).
            db.execute("INSERT INTO event_removals (user_id) VALUES ('')")
            cursor = db.execute("DELETE FROM derived WHERE name = 'behavior'")
            behavior = cursor.rowcount > 0
            if trained:
                db.execute("DELETE FROM weights")
                Steps.clear(db)
            else:
                feedback.again(steps.rewind(first, user))
    if n_events and trained:
        train()
    if path is not None:
        _scrub(store)
    return Forgotten(n_events, bool(n_events and trained), behavior, _backups(path))


def _remove_training(path: Path | None) -> None:
    """Remove what an interrupted training of the behavior model goes on from."""
    if path is None or not Path(f"{path}-behavior").exists():
        return
    for kind in ("train", "update"):
        TrainingFiles(Path(f"{path}-behavior"), kind).done()


def _scrub(store: Store) -> None:
    """Write the file anew, without the room that was freed, and empty the write-ahead log."""
    store.db.execute("VACUUM")
    busy, _, _ = store.db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    if busy:
        raise StoreBusyError(
            f"{store.path} is being read by another process, so what was forgotten may still lie "
            f"in {store.path}-wal; close the other and forget the user again"
        )


def _backups(path: Path | None) -> tuple[Path, ...]:
    """Return other databases of pyrec's beside this one."""
    if path is None:
        return ()
    found = []
    for other in sorted(path.absolute().parent.iterdir()):
        if other.is_file() and not other.samefile(path) and _is_store(other):
            found.append(other)
    return tuple(found)


def _is_store(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            head = file.read(72)
    except OSError:
        return False
    return head[:15] == b"SQLite format 3" and head[68:72] == APPLICATION_ID.to_bytes(4, "big")
